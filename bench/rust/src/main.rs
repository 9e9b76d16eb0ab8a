// The workloads of bench/*.cpp for Rust's crossbeam-channel and flume, on threads.
// main list prints their names; main SECONDS PREFIX prints a line of "NAME NANOSECONDS" for each whose name begins so.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

extern "C" {
    fn sched_setaffinity(thread: i32, size: usize, cores: *const u64) -> i32;
}
static PINNED: AtomicBool = AtomicBool::new(false);

fn pin(number: usize) {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let core: u64 = 1 << (number % cores % 64);
    unsafe { sched_setaffinity(0, 8, &core) };
}

/// What std::hint calls so from Rust 1.66 on; Debian 12 has 1.63.
fn black_box<T: Copy>(value: T) -> T {
    unsafe { std::ptr::read_volatile(&value) }
}

type Part = Box<dyn FnOnce() + Send>;

/// Runs all parts at once, each on its own thread. Returns: the time from the start of the first to the end of the last.
fn together(parts: Vec<Part>) -> Duration {
    let start = Arc::new(Barrier::new(parts.len() + 1));
    let threads: Vec<_> = parts
        .into_iter()
        .enumerate()
        .map(|(number, part)| {
            let start = start.clone();
            thread::spawn(move || {
                if PINNED.load(Ordering::Relaxed) {
                    pin(number);
                }
                start.wait();
                let begin = Instant::now();
                part();
                (begin, Instant::now())
            })
        })
        .collect();
    start.wait();
    let times: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    let begin = times.iter().map(|t| t.0).min().unwrap();
    times.iter().map(|t| t.1).max().unwrap() - begin
}

trait Peer: 'static {
    type Tx: Clone + Send + 'static;
    type Rx: Clone + Send + 'static;
    fn channel(capacity: usize) -> (Self::Tx, Self::Rx);
    fn send(to: &Self::Tx, value: u64);
    fn recv(from: &Self::Rx) -> u64;
    fn select(of: &[Self::Rx; 4]) -> u64;
    fn select_default(of: &[Self::Rx; 4]) -> bool;
    fn select_timeout(of: &[Self::Rx; 4]) -> bool;
    /// Selects `times` times over any number, after calling `before`.
    fn select_many(of: &[Self::Rx], times: usize, before: impl FnMut(usize));
}

struct Crossbeam;
impl Peer for Crossbeam {
    type Tx = crossbeam_channel::Sender<u64>;
    type Rx = crossbeam_channel::Receiver<u64>;
    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(capacity)
    }
    fn send(to: &Self::Tx, value: u64) {
        to.send(value).unwrap();
    }
    fn recv(from: &Self::Rx) -> u64 {
        from.recv().unwrap()
    }
    fn select(of: &[Self::Rx; 4]) -> u64 {
        crossbeam_channel::select! {
            recv(of[0]) -> v => v.unwrap(),
            recv(of[1]) -> v => v.unwrap(),
            recv(of[2]) -> v => v.unwrap(),
            recv(of[3]) -> v => v.unwrap(),
        }
    }
    fn select_default(of: &[Self::Rx; 4]) -> bool {
        crossbeam_channel::select! {
            recv(of[0]) -> _ => true,
            recv(of[1]) -> _ => true,
            recv(of[2]) -> _ => true,
            recv(of[3]) -> _ => true,
            default => false,
        }
    }
    fn select_timeout(of: &[Self::Rx; 4]) -> bool {
        crossbeam_channel::select! {
            recv(of[0]) -> _ => true,
            recv(of[1]) -> _ => true,
            recv(of[2]) -> _ => true,
            recv(of[3]) -> _ => true,
            default(Duration::from_nanos(1)) => false,
        }
    }
    fn select_many(of: &[Self::Rx], times: usize, mut before: impl FnMut(usize)) {
        let mut all = crossbeam_channel::Select::new();
        for rx in of {
            all.recv(rx);
        }
        for i in 0..times {
            before(i);
            let chosen = all.select();
            let index = chosen.index();
            black_box(chosen.recv(&of[index]).unwrap());
        }
    }
}

struct Flume;
impl Peer for Flume {
    type Tx = flume::Sender<u64>;
    type Rx = flume::Receiver<u64>;
    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        flume::bounded(capacity)
    }
    fn send(to: &Self::Tx, value: u64) {
        to.send(value).unwrap();
    }
    fn recv(from: &Self::Rx) -> u64 {
        from.recv().unwrap()
    }
    fn select(of: &[Self::Rx; 4]) -> u64 {
        of.iter().fold(flume::Selector::new(), |s, rx| s.recv(rx, |v| v.unwrap())).wait()
    }
    fn select_default(_: &[Self::Rx; 4]) -> bool {
        unreachable!() // it has none
    }
    fn select_timeout(of: &[Self::Rx; 4]) -> bool {
        let all = of.iter().fold(flume::Selector::new(), |s, rx| s.recv(rx, |_| true));
        all.wait_timeout(Duration::from_nanos(1)).is_ok()
    }
    fn select_many(of: &[Self::Rx], times: usize, mut before: impl FnMut(usize)) {
        for i in 0..times {
            before(i);
            black_box(of.iter().fold(flume::Selector::new(), |s, rx| s.recv(rx, |v| v.unwrap())).wait());
        }
    }
}

fn sending<P: Peer>(to: &P::Tx, items: usize) -> Part {
    let to = to.clone();
    Box::new(move || (0..items as u64).for_each(|i| P::send(&to, i)))
}
fn receiving<P: Peer>(from: &P::Rx, items: usize) -> Part {
    let from = from.clone();
    Box::new(move || {
        for _ in 0..items {
            black_box(P::recv(&from));
        }
    })
}

fn uncontended<P: Peer>(items: usize) -> Duration {
    let (tx, rx) = P::channel(1024);
    let begin = Instant::now();
    for i in 0..items as u64 {
        P::send(&tx, i);
        black_box(P::recv(&rx));
    }
    begin.elapsed()
}

fn crowd<P: Peer>(capacity: usize, senders: usize, receivers: usize, items: usize) -> Duration {
    let (tx, rx) = P::channel(capacity);
    let mut parts: Vec<Part> = (0..senders).map(|_| sending::<P>(&tx, items / senders)).collect();
    parts.extend((0..receivers).map(|_| receiving::<P>(&rx, items / receivers)));
    together(parts)
}

fn ping_pong<P: Peer>(items: usize) -> Duration {
    let (there, there_end) = P::channel(0);
    let (back, back_end) = P::channel(0);
    together(vec![
        Box::new(move || {
            for i in 0..items as u64 {
                P::send(&there, i);
                black_box(P::recv(&back_end));
            }
        }),
        Box::new(move || (0..items).for_each(|_| P::send(&back, P::recv(&there_end)))),
    ])
}

fn four<P: Peer>() -> ([P::Tx; 4], [P::Rx; 4]) {
    let ch = [0; 4].map(|_| P::channel(1024));
    (ch.clone().map(|c| c.0), ch.map(|c| c.1))
}
fn select_fed_by_4<P: Peer>(items: usize) -> Duration {
    let (tx, rx) = four::<P>();
    let mut parts: Vec<Part> = tx.iter().map(|t| sending::<P>(t, items / 4)).collect();
    parts.push(Box::new(move || {
        let _open = tx; // a closed channel would be ready
        for _ in 0..items {
            black_box(P::select(&rx));
        }
    }));
    together(parts)
}
fn select_1_of_4_ready<P: Peer>(items: usize) -> Duration {
    let (tx, rx) = four::<P>();
    let mut total = Duration::ZERO;
    for done in (0..items).step_by(1024) {
        sending::<P>(&tx[done / 1024 % 4], 1024)();
        let begin = Instant::now();
        for _ in 0..1024 {
            black_box(P::select(&rx));
        }
        total += begin.elapsed();
    }
    total
}
fn none_ready<P: Peer>(items: usize, select: fn(&[P::Rx; 4]) -> bool) -> Duration {
    let (_tx, rx) = four::<P>();
    let begin = Instant::now();
    for _ in 0..items {
        black_box(select(&rx));
    }
    begin.elapsed()
}

fn pipeline<P: Peer>(items: usize) -> Duration {
    let (first, first_end) = P::channel(1024);
    let (second, second_end) = P::channel(1024);
    together(vec![
        sending::<P>(&first, items),
        Box::new(move || (0..items).for_each(|_| P::send(&second, 3 * P::recv(&first_end)))),
        receiving::<P>(&second_end, items),
    ])
}

/// A value is sent to one of many channels in turn, and a select over all of them receives it.
fn select_over<P: Peer>(channels: usize, items: usize) -> Duration {
    let (tx, rx): (Vec<_>, Vec<_>) = (0..channels).map(|_| P::channel(1)).unzip();
    let begin = Instant::now();
    P::select_many(&rx, items, |i| P::send(&tx[i * 7919 % channels], i as u64));
    begin.elapsed()
}

/// Four clients ask a server, each waits for its answer. Every request carries its time and its client.
fn requests<P: Peer>(items: usize, latencies: &mut Vec<u64>) -> Duration {
    let base = Instant::now();
    let now = move || base.elapsed().as_nanos() as u64;
    let (ask, asked) = P::channel(1024);
    let (answer, answered): (Vec<_>, Vec<_>) = (0..4).map(|_| P::channel(1)).unzip();
    let mut parts: Vec<Part> = Vec::new();
    for (client, answered) in (0u64..4).zip(answered) {
        let ask = ask.clone();
        parts.push(Box::new(move || {
            for _ in 0..items / 4 {
                P::send(&ask, now() << 2 | client);
                black_box(P::recv(&answered));
            }
        }));
    }
    let (out, measured) = std::sync::mpsc::channel();
    parts.push(Box::new(move || {
        let mut all = Vec::with_capacity(items);
        for _ in 0..items {
            let request = P::recv(&asked);
            all.push(now() - (request >> 2));
            P::send(&answer[(request & 3) as usize], request);
        }
        out.send(all).unwrap();
    }));
    let time = together(parts);
    latencies.extend(measured.recv().unwrap());
    time
}

struct Runner {
    list: bool,
    seconds: f64,
    prefix: String,
}
impl Runner {
    fn wants(&self, name: &str) -> bool {
        if self.list {
            println!("{name}");
        }
        !self.list && name.starts_with(&self.prefix)
    }
    fn bench(&self, workload: &str, peer: &str, items: usize, mut run: impl FnMut(usize) -> Duration) {
        let name = format!("{workload}/{peer}");
        if !self.wants(&name) {
            return;
        }
        run(items); // warms up
        let (mut count, mut total) = (0, Duration::ZERO);
        while total.as_secs_f64() < self.seconds {
            total += run(items);
            count += items;
        }
        println!("{name} {:.3}", total.as_nanos() as f64 / count as f64);
    }
    /// As the system places the threads, and pinned.
    fn both(&self, workload: &str, peer: &str, items: usize, run: impl Fn(usize) -> Duration) {
        self.bench(workload, peer, items, &run);
        PINNED.store(true, Ordering::Relaxed);
        self.bench(&format!("{workload}_pinned"), peer, items, &run);
        PINNED.store(false, Ordering::Relaxed);
    }
    fn all<P: Peer>(&self, peer: &str, has_default: bool) {
        self.bench("W1/uncontended_1024", peer, 1 << 18, uncontended::<P>);
        self.both("W2/spsc_1024", peer, 1 << 18, |n| crowd::<P>(1024, 1, 1, n));
        self.both("W3/spsc_1", peer, 1 << 13, |n| crowd::<P>(1, 1, 1, n));
        self.both("W4/rendezvous", peer, 1 << 13, |n| crowd::<P>(0, 1, 1, n));
        self.both("W5/ping_pong", peer, 1 << 12, ping_pong::<P>);
        self.both("W6/4_to_1", peer, 1 << 17, |n| crowd::<P>(1024, 4, 1, n));
        self.both("W7/4_to_4", peer, 1 << 17, |n| crowd::<P>(1024, 4, 4, n));
        self.both("W8/select_fed_by_4", peer, 1 << 17, select_fed_by_4::<P>);
        self.bench("W9/select_1_of_4_ready", peer, 1 << 17, select_1_of_4_ready::<P>);
        if has_default {
            self.bench("W9/select_default", peer, 1 << 17, |n| none_ready::<P>(n, P::select_default));
        }
        self.bench("W9/select_timeout", peer, 1 << 12, |n| none_ready::<P>(n, P::select_timeout));
        self.bench("W13/threads_by_hand", peer, 1 << 18, pipeline::<P>);
        for producers in [1, 2, 4, 8, 16, 32, 64] {
            self.bench(&format!("G1/producers_{producers}"), peer, 1 << 18, |n| crowd::<P>(1024, producers, 1, n));
        }
        for channels in [1, 4, 16, 64, 256, 1024] {
            let items = (1 << 16) / (channels + 15);
            self.bench(&format!("G2/select_{channels}"), peer, items, |n| select_over::<P>(channels, n));
        }
        let mut latencies = Vec::new();
        self.bench("L1/4_clients", peer, 1 << 14, |n| requests::<P>(n, &mut latencies));
        latencies.sort_unstable();
        for (row, of_1000) in [("p50", 500), ("p99", 990), ("p999", 999)] {
            if !latencies.is_empty() {
                println!("L1/4_clients_{row}/{peer} {}", latencies[latencies.len() * of_1000 / 1000]);
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runner = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => Runner { list: true, seconds: 0.0, prefix: String::new() },
        [seconds, prefix] => Runner { list: false, seconds: seconds.parse().expect("seconds"), prefix: prefix.into() },
        _ => panic!("usage: main list | main SECONDS PREFIX"),
    };
    runner.all::<Crossbeam>("crossbeam", true);
    runner.all::<Flume>("flume", false);
}
