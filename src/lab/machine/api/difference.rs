//! What differs between two texts, line by line, as a dry run of a config shows it: the unified form with three lines
//! around each change (`configdiff.DiffToString`).

/// Lines that are shown around a change.
const AROUND: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Both,
    Old,
    New,
}

/// Empty for equal texts.
pub fn unified(old: &str, new: &str) -> String {
    let lines = edits(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let changed: Vec<usize> =
        lines.iter().enumerate().filter(|(_, (kept, _))| *kept != Kept::Both).map(|(at, _)| at).collect();
    let (Some(first), Some(_)) = (changed.first(), changed.last()) else { return String::new() };
    let mut text = String::from("--- a\n+++ b\n");
    let (mut from, mut last) = (*first, *first);
    for at in changed.into_iter().skip(1) {
        if at > last + 2 * AROUND + 1 {
            text.push_str(&hunk(&lines, from, last));
            from = at;
        }
        last = at;
    }
    text.push_str(&hunk(&lines, from, last));
    text
}

/// The lines of both texts in order: common ones as the longest common subsequence has them.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kept, &'a str)> {
    // lengths[i][j]: of the longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    let length = |lengths: &[Vec<usize>], i: usize, j: usize| {
        lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default()
    };
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let longest = if a == b {
                1 + length(&lengths, i + 1, j + 1)
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(slot) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *slot = longest;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push((Kept::Both, *a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), Some(_)) if length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) => {
                lines.push((Kept::Old, *a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push((Kept::New, *b));
                j += 1;
            }
            (Some(a), None) => {
                lines.push((Kept::Old, *a));
                i += 1;
            }
            (None, None) => return lines,
        }
    }
}

/// The lines from `from` to `last` with those around them.
fn hunk(lines: &[(Kept, &str)], from: usize, last: usize) -> String {
    let begin = from.saturating_sub(AROUND);
    let before = lines.get(..begin).unwrap_or_default();
    let shown = lines.get(begin..(last + AROUND + 1).min(lines.len())).unwrap_or_default();
    let count = |of: &[(Kept, &str)], not: Kept| of.iter().filter(|(kept, _)| *kept != not).count();
    let place = |not: Kept| match (count(before, not) + 1, count(shown, not)) {
        (line, count) if count > 1 => format!("{line},{count}"),
        (line, _) => line.to_string(),
    };
    let mut text = format!("@@ -{} +{} @@\n", place(Kept::New), place(Kept::Old));
    for (kept, line) in shown {
        text.push(match kept {
            Kept::Both => ' ',
            Kept::Old => '-',
            Kept::New => '+',
        });
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\n";
        assert_eq!(unified(old, new), "--- a\n+++ b\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n");
    }

    #[test]
    fn changes_far_apart_are_shown_apart() {
        let old: String = (0..30).map(|n| format!("{n}\n")).collect();
        let new = old.replace("2\n3\n", "2\nx\n3\n").replace("28\n", "");
        let text = unified(&old, &new);
        assert_eq!(text.matches("@@ ").count(), 2, "{text}");
        assert!(text.contains("+x\n") && text.contains("-28\n"), "{text}");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a\n", "a\n"), "");
    }
}
