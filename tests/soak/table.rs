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
    /// Lab seconds until all was known again, and more than a run without a crash needs.
    cost: [Vec<Duration>; 2],
}

impl Table {
    pub fn add(&mut self, row: &str, wrong: bool, cost: [Duration; 2]) {
        let row = self.rows.entry(row.to_string()).or_default();
        row.tried += 1;
        row.wrong += usize::from(wrong);
        self.cost.iter_mut().zip(cost).for_each(|(all, one)| all.push(one));
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
        for (what, all) in ["to know again what had been known", "in all"].iter().zip(&mut self.cost) {
            all.sort();
            let share = |limit: u64| {
                let over = all.iter().filter(|d| d.as_secs() > limit).count();
                format!("{:.1} % more than {limit}", 100.0 * over as f64 / all.len().max(1) as f64)
            };
            let median = all.get(all.len() / 2).map_or(0, Duration::as_secs);
            let shares: Vec<String> = [30, 60, 120, 300, 600].map(share).to_vec();
            println!("lab seconds of a crash {what}: median {median}; {}", shares.join(", "));
        }
    }
}
