//! The table at the end.
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
struct Row {
    tried: usize,
    wrong: usize,
}

#[derive(Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    catching_up: Vec<Duration>,
}

impl Table {
    pub fn add(&mut self, row: &str, wrong: bool, caught_up: Duration) {
        let row = self.rows.entry(row.to_string()).or_default();
        row.tried += 1;
        row.wrong += usize::from(wrong);
        self.catching_up.push(caught_up);
    }

    pub fn wrong(&self) -> usize {
        self.rows.values().map(|r| r.wrong).sum()
    }

    pub fn print(&mut self) {
        println!("\n{:<44} {:>7} {:>7}", "killed", "tried", "wrong");
        for (name, row) in &self.rows {
            println!("{name:<44} {:>7} {:>7}", row.tried, row.wrong);
        }
        let tried: usize = self.rows.values().map(|r| r.tried).sum();
        println!("{:<44} {tried:>7} {:>7}", "all", self.wrong());
        self.catching_up.sort();
        let all = self.catching_up.len().max(1);
        for limit in [30, 60, 120, 300, 600] {
            let over = self.catching_up.iter().filter(|d| d.as_secs() > limit).count();
            println!("knew again what it had known after more than {limit:>3} lab s: {:>5.1} %", 100.0 * over as f64 / all as f64);
        }
    }
}
