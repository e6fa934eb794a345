//! The forms of names that Kubernetes, Talos and Proxmox VE accept.

pub use crate::base::label::is_dns_label;

/// Dot-separated labels, 253 characters at most.
pub fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// SHA-256 as `sha256sum` prints it.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The known word closest to `text`, when it is close enough to be meant.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.len() > 64 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|word| (distance(&text, &word.replace('-', "_")), word))
        .filter(|(far, word)| *far <= 1 + word.len() / 4)
        .min_by_key(|(far, _)| *far)
        .map(|(_, word)| word)
}

/// Number of insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, replace), insert) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            next.push((replace + usize::from(x != *y)).min(insert + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_stranger_is_not_guessed_at() {
        assert_eq!(nearest("vmdi", ["vmid", "name"]), Some("vmid"));
        assert_eq!(nearest("memory-mb", ["memory_mib", "cores"]), Some("memory_mib"));
        assert_eq!(nearest("banana", ["vmid", "name"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_label_neither_starts_nor_ends_with_a_dash() {
        assert!(is_dns_label("cp1") && !is_dns_label("-cp1") && !is_dns_label("cp1-") && !is_dns_label("cp_1"));
        assert!(is_dns_name("cozy.example.com") && !is_dns_name("cozy..com") && !is_dns_name("Cozy.com"));
    }
}
