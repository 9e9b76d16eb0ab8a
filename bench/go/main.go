// The workloads of bench/*.cpp for Go: main SECONDS REGEX prints a line of "NAME NANOSECONDS" for each of them.
// Those on threads and those on tasks are the same here: each is measured for both.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

type benchmark struct {
	name  string
	items int
	run   func(items int) time.Duration
}

// together runs all parts at once, each in its own goroutine, and answers the time from the start of the first to the end of the last.
func together(parts ...func()) time.Duration {
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	ready.Add(len(parts))
	done.Add(len(parts))
	for _, part := range parts {
		part := part
		go func() {
			ready.Done()
			<-start
			part()
			done.Done()
		}()
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	return time.Since(begin)
}

func here(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

func sending(ch chan<- uint64, items int) func() {
	return func() {
		for i := 0; i < items; i++ {
			ch <- uint64(i)
		}
	}
}

func receiving(ch <-chan uint64, items int) func() {
	return func() {
		for i := 0; i < items; i++ {
			<-ch
		}
	}
}

func uncontended(items int) time.Duration {
	ch := make(chan uint64, 1024)
	return here(func() {
		for i := 0; i < items; i++ {
			ch <- uint64(i)
			<-ch
		}
	})
}

func stream(capacity int) func(int) time.Duration {
	return func(items int) time.Duration {
		ch := make(chan uint64, capacity)
		return together(sending(ch, items), receiving(ch, items))
	}
}

func pingPong(items int) time.Duration {
	there, back := make(chan uint64), make(chan uint64)
	return together(func() {
		for i := 0; i < items; i++ {
			there <- uint64(i)
			<-back
		}
	}, func() {
		for i := 0; i < items; i++ {
			back <- <-there
		}
	})
}

func crowd(senders, receivers int) func(int) time.Duration {
	return func(items int) time.Duration {
		ch := make(chan uint64, 1024)
		var parts []func()
		for i := 0; i < senders; i++ {
			parts = append(parts, sending(ch, items/senders))
		}
		for i := 0; i < receivers; i++ {
			parts = append(parts, receiving(ch, items/receivers))
		}
		return together(parts...)
	}
}

func four() (of [4]chan uint64) {
	for i := range of {
		of[i] = make(chan uint64, 1024)
	}
	return of
}

func selectFedBy4(items int) time.Duration {
	ch := four()
	var parts []func()
	for _, c := range ch {
		parts = append(parts, sending(c, items/4))
	}
	parts = append(parts, func() {
		for i := 0; i < items; i++ {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			}
		}
	})
	return together(parts...)
}

func select1Of4Ready(items int) (total time.Duration) {
	ch := four()
	for done := 0; done < items; done += 1024 {
		sending(ch[done/1024%4], 1024)()
		total += here(func() {
			for i := 0; i < 1024; i++ {
				select {
				case <-ch[0]:
				case <-ch[1]:
				case <-ch[2]:
				case <-ch[3]:
				}
			}
		})
	}
	return total
}

func selectDefault(items int) time.Duration {
	ch := four()
	return here(func() {
		for i := 0; i < items; i++ {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			default:
			}
		}
	})
}

func selectTimeout(items int) time.Duration {
	ch := four()
	return here(func() {
		for i := 0; i < items; i++ {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			case <-time.After(1):
			}
		}
	})
}

func empty() {}

// startJoin starts a hundred goroutines at a time and joins them.
func startJoin(items int) time.Duration {
	return here(func() {
		for done := 0; done < items; done += 100 {
			var running sync.WaitGroup
			running.Add(100)
			for i := 0; i < 100; i++ {
				go func() {
					empty()
					running.Done()
				}()
			}
			running.Wait()
		}
	})
}

func oneByOne(items int) time.Duration {
	return here(func() {
		ended := make(chan struct{})
		for i := 0; i < items; i++ {
			go func() {
				empty()
				ended <- struct{}{}
			}()
			<-ended
		}
	})
}

func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	if err != nil {
		panic(err)
	}
	return pages * float64(os.Getpagesize())
}

// millionBytes is how much more memory each goroutine of the first batch takes: later ones use that of the earlier again.
var millionBytes float64

func million(tasks int) time.Duration {
	before := residentBytes()
	return here(func() {
		start := make(chan struct{})
		var waiting, gone sync.WaitGroup
		waiting.Add(tasks)
		gone.Add(tasks)
		for i := 0; i < tasks; i++ {
			go func() {
				waiting.Done()
				<-start
				gone.Done()
			}()
		}
		waiting.Wait()
		if millionBytes == 0 {
			millionBytes = (residentBytes() - before) / float64(tasks)
		}
		close(start)
		gone.Wait()
	})
}

const (
	primes    = 2000
	lastPrime = 17389
	hops      = 2042625 // of the numbers from 2 to the last prime
)

func sieve(items int) time.Duration {
	return here(func() {
		in := make(chan int32)
		go func(out chan<- int32) {
			for i := int32(2); i <= lastPrime; i++ {
				out <- i
			}
			close(out)
		}(in)
		prime := int32(0)
		for i := 0; i < primes; i++ {
			prime = <-in
			out := make(chan int32)
			go func(in <-chan int32, out chan<- int32, prime int32) {
				for i := range in {
					if i%prime != 0 {
						out <- i
					}
				}
				close(out)
			}(in, out, prime)
			in = out
		}
		<-in
		if prime != lastPrime {
			panic(prime)
		}
	})
}

// pipeline is a source, a stage and a sink, with room for 1024 between them.
func pipeline(items int) time.Duration {
	first, second := make(chan uint64, 1024), make(chan uint64, 1024)
	return together(sending(first, items), func() {
		for i := 0; i < items; i++ {
			second <- 3 * <-first
		}
	}, receiving(second, items))
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: main SECONDS REGEX")
		os.Exit(2)
	}
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	only := regexp.MustCompile(os.Args[2])
	for _, b := range []benchmark{
		{"W10/million/go", 1000000, million}, // first: its memory is counted
		{"W1/uncontended_1024/go", 1 << 18, uncontended},
		{"W2/spsc_1024/go", 1 << 18, stream(1024)},
		{"W2/spsc_1024_tasks/go", 1 << 18, stream(1024)},
		{"W3/spsc_1/go", 1 << 14, stream(1)},
		{"W3/spsc_1_tasks/go", 1 << 16, stream(1)},
		{"W4/rendezvous/go", 1 << 14, stream(0)},
		{"W4/rendezvous_tasks/go", 1 << 16, stream(0)},
		{"W5/ping_pong/go", 1 << 13, pingPong},
		{"W5/ping_pong_tasks/go", 1 << 15, pingPong},
		{"W6/4_to_1/go", 1 << 17, crowd(4, 1)},
		{"W7/4_to_4/go", 1 << 17, crowd(4, 4)},
		{"W8/select_fed_by_4/go", 1 << 17, selectFedBy4},
		{"W9/select_1_of_4_ready/go", 1 << 17, select1Of4Ready},
		{"W9/select_default/go", 1 << 17, selectDefault},
		{"W9/select_timeout/go", 1 << 15, selectTimeout},
		{"W10/function_go/go", 10000, startJoin},
		{"W10/function_wait_group/go", 10000, startJoin},
		{"W10/task_go/go", 10000, startJoin},
		{"W10/task_wait_group/go", 10000, startJoin},
		{"W10/one_by_one/go", 10000, oneByOne},
		{"W12/sieve_2000/go", hops, sieve},
		{"W13/threads_by_hand/go", 1 << 18, pipeline},
		{"W13/pipeline_tasks/go", 1 << 18, pipeline},
	} {
		if !only.MatchString(b.name) {
			continue
		}
		if b.items < 1000000 {
			b.run(b.items) // warms up
		}
		items, total := 0, time.Duration(0)
		for total.Seconds() < seconds {
			total += b.run(b.items)
			items += b.items
		}
		fmt.Printf("%s %.3f\n", b.name, float64(total.Nanoseconds())/float64(items))
	}
	if millionBytes != 0 {
		fmt.Printf("W10/million_bytes/go %.0f\n", millionBytes)
	}
}
