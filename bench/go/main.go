// The workloads of bench/*.cpp for Go. main list prints their names; main SECONDS PREFIX prints a line of "NAME NANOSECONDS" for each
// whose name begins so.
// Goroutines stand beside coroutines and fibers; where one alone is at work, beside all.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"sort"
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

// more is what the benchmark that runs has counted besides its time: a row of its own for each.
var more = map[string]float64{}

// blocked starts tasks that wait in one channel, and lets them go. Counted is how much more memory each of the first batch takes:
// later ones use that of the earlier again.
func blocked(tasks int) time.Duration {
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
		if _, counted := more["bytes"]; !counted {
			more["bytes"] = (residentBytes() - before) / float64(tasks)
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

func createCancel(items int) time.Duration {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	return here(func() {
		for i := 0; i < items; i++ {
			_, cancel := context.WithCancel(parent)
			cancel()
		}
	})
}

func timeoutCreateCancel(items int) time.Duration {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	return here(func() {
		for i := 0; i < items; i++ {
			_, cancel := context.WithTimeout(parent, time.Hour)
			cancel()
		}
	})
}

func contextErr(items int) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return here(func() {
		for i := 0; i < items; i++ {
			if ctx.Err() != nil {
				panic("done")
			}
		}
	})
}

// cancelChildren is timed without what makes the children.
func cancelChildren(children int) time.Duration {
	parent, cancel := context.WithCancel(context.Background())
	all := make([]context.CancelFunc, children)
	for i := range all {
		_, all[i] = context.WithCancel(parent)
	}
	time := here(cancel)
	for _, cancelChild := range all {
		cancelChild()
	}
	return time
}

// group is what golang.org/x/sync/errgroup is.
type group struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	err     error
}

func (g *group) Go(f func() error) {
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		if err := f(); err != nil {
			g.once.Do(func() {
				g.err = err
				g.cancel()
			})
		}
	}()
}

func (g *group) Wait() error {
	g.running.Wait()
	g.cancel()
	return g.err
}

func errgroup(items int) time.Duration {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	return here(func() {
		for done := 0; done < items; done += 100 {
			ctx, cancel := context.WithCancel(parent)
			g := group{cancel: cancel}
			for i := 0; i < 100; i++ {
				g.Go(func() error { return ctx.Err() })
			}
			if g.Wait() != nil {
				panic("failed")
			}
		}
	})
}

// selectOver sends a value to one of many channels in turn; a select over all of them receives it.
func selectOver(channels int) func(int) time.Duration {
	return func(items int) time.Duration {
		of := make([]chan uint64, channels)
		cases := make([]reflect.SelectCase, channels)
		for i := range of {
			of[i] = make(chan uint64, 1)
			cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(of[i])}
		}
		return here(func() {
			for i := 0; i < items; i++ {
				of[i*7919%channels] <- uint64(i)
				reflect.Select(cases)
			}
		})
	}
}

// chain is a source, stages and a sink, with room for 1024 between them.
func chain(stages int) func(int) time.Duration {
	return func(items int) time.Duration {
		values := items / (stages + 1)
		in := make(chan uint64, 1024)
		parts := []func(){sending(in, values)}
		for i := 0; i < stages; i++ {
			from, to := in, make(chan uint64, 1024)
			parts = append(parts, func() {
				for i := 0; i < values; i++ {
					to <- <-from
				}
			})
			in = to
		}
		return together(append(parts, receiving(in, values))...)
	}
}

// requests: four clients ask a server, and each waits for its answer. Every request carries its time and its client.
func requests() func(int) time.Duration {
	var latencies []int
	return func(items int) time.Duration {
		base := time.Now()
		ask := make(chan uint64, 1024)
		var answers [4]chan uint64
		var parts []func()
		for i := range answers {
			answer, client := make(chan uint64, 1), uint64(i)
			answers[i] = answer
			parts = append(parts, func() {
				for i := 0; i < items/4; i++ {
					ask <- uint64(time.Since(base))<<2 | client
					<-answer
				}
			})
		}
		parts = append(parts, func() {
			for i := 0; i < items; i++ {
				request := <-ask
				latencies = append(latencies, int(time.Since(base))-int(request>>2))
				answers[request&3] <- request
			}
		})
		total := together(parts...)
		sort.Ints(latencies)
		more["p50"] = float64(latencies[len(latencies)/2])
		more["p99"] = float64(latencies[len(latencies)*99/100])
		more["p999"] = float64(latencies[len(latencies)*999/1000])
		return total
	}
}

func all() []benchmark {
	list := []benchmark{
		{"W1/uncontended_1024", 1 << 18, uncontended},
		{"W2/spsc_1024_tasks", 1 << 18, stream(1024)},
		{"W3/spsc_1_tasks", 1 << 16, stream(1)},
		{"W4/rendezvous_tasks", 1 << 16, stream(0)},
		{"W5/ping_pong_tasks", 1 << 15, pingPong},
		{"W6/4_to_1_tasks", 1 << 17, crowd(4, 1)},
		{"W7/4_to_4_tasks", 1 << 17, crowd(4, 4)},
		{"W8/select_fed_by_4_tasks", 1 << 17, selectFedBy4},
		{"W9/select_1_of_4_ready", 1 << 17, select1Of4Ready},
		{"W9/select_default", 1 << 17, selectDefault},
		{"W9/select_timeout", 1 << 15, selectTimeout},
		{"W10/million_tasks", 1000000, blocked},
		{"W10/function_go", 10000, startJoin},
		{"W10/function_wait_group", 10000, startJoin},
		{"W10/task_go", 10000, startJoin},
		{"W10/task_wait_group", 10000, startJoin},
		{"W10/task_one_by_one", 10000, oneByOne},
		{"W11/create_cancel", 1 << 14, createCancel},
		{"W11/err", 1 << 18, contextErr},
		{"W11/cancel_10000", 10000, cancelChildren},
		{"W11/timeout_create_cancel", 1 << 14, timeoutCreateCancel},
		{"W11/errgroup", 10000, errgroup},
		{"W12/sieve_2000_tasks", hops, sieve},
		{"W13/pipeline_tasks", 1 << 18, pipeline},
		{"L1/4_clients_tasks", 1 << 14, requests()},
	}
	for n := 1; n <= 64; n *= 2 {
		list = append(list,
			benchmark{fmt.Sprintf("G1/producers_%d_tasks", n), 1 << 18, crowd(n, 1)},
			benchmark{fmt.Sprintf("G5/stages_%d_tasks", n), (1 << 14) * (n + 1), chain(n)})
	}
	for n := 1; n <= 1024; n *= 4 {
		list = append(list, benchmark{fmt.Sprintf("G2/select_%d", n), (1 << 16) / (n + 15), selectOver(n)})
	}
	for n := 10; n <= 1000000; n *= 10 {
		list = append(list, benchmark{fmt.Sprintf("G3/cancel_%d", n), n, cancelChildren})
		if n >= 1000 {
			list = append(list, benchmark{fmt.Sprintf("G4/blocked_%d_tasks", n), n, blocked})
		}
	}
	return list
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "list" {
		for _, b := range all() {
			fmt.Println(b.name + "/go")
		}
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: main list | main SECONDS PREFIX")
		os.Exit(2)
	}
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, b := range all() {
		if !strings.HasPrefix(b.name+"/go", os.Args[2]) {
			continue
		}
		more = map[string]float64{}
		if b.items < 1000000 {
			b.run(b.items) // warms up
		}
		items, total := 0, time.Duration(0)
		for total.Seconds() < seconds {
			total += b.run(b.items)
			items += b.items
		}
		fmt.Printf("%s/go %.3f\n", b.name, float64(total.Nanoseconds())/float64(items))
		for row, value := range more {
			fmt.Printf("%s_%s/go %.0f\n", b.name, row, value)
		}
	}
}
