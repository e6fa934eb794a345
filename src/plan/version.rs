//! Versions as the products write them: `v1.10.6`.

/// Major, minor, patch of `text`, with or without the `v`; `None` for anything else, pre-releases included.
pub fn version(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let found = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        assert_eq!(version("v1.10.6"), Some((1, 10, 6)));
        assert_eq!(version("0.3.16"), Some((0, 3, 16)));
        for wrong in ["v1.10", "1.2.3.4", "v1.2.3-rc.1", "latest", "", "1.+2.3"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }
}
