//! A row of figures.
use std::time::{Duration, Instant};

pub fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    times.push(began.elapsed());
    done
}

/// `what   n   min   median   p99   max`
pub fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    let [least, median, p99, most] = [0.0, 0.5, 0.99, 1.0].map(|share| shown(at(share)));
    println!("{what:<58} n {:>6}  min {least:>9}  median {median:>9}  p99 {p99:>9}  max {most:>9}", times.len());
}

fn shown(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{:.1} us", time.as_secs_f64() * 1e6)
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}
