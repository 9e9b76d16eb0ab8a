// The workloads of bench/*.cpp for Go: main SECONDS REGEX prints a line of "NAME NANOSECONDS" for each of them.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
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
		{"W1/uncontended_1024/go", 1 << 18, uncontended},
		{"W2/spsc_1024/go", 1 << 18, stream(1024)},
		{"W3/spsc_1/go", 1 << 14, stream(1)},
		{"W4/rendezvous/go", 1 << 14, stream(0)},
		{"W5/ping_pong/go", 1 << 13, pingPong},
		{"W6/4_to_1/go", 1 << 17, crowd(4, 1)},
		{"W7/4_to_4/go", 1 << 17, crowd(4, 4)},
		{"W8/select_fed_by_4/go", 1 << 17, selectFedBy4},
		{"W9/select_1_of_4_ready/go", 1 << 17, select1Of4Ready},
		{"W9/select_default/go", 1 << 17, selectDefault},
		{"W9/select_timeout/go", 1 << 15, selectTimeout},
	} {
		if !only.MatchString(b.name) {
			continue
		}
		b.run(b.items) // warms up
		items, total := 0, time.Duration(0)
		for total.Seconds() < seconds {
			total += b.run(b.items)
			items += b.items
		}
		fmt.Printf("%s %.3f\n", b.name, float64(total.Nanoseconds())/float64(items))
	}
}
