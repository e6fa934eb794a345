//! Kubernetes quantities (`100m`, `2`, `1.5Gi`), as `apimachinery/pkg/api/resource` reads them.

const SUFFIXES: [(&str, f64); 14] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
];

fn value(text: &str) -> Option<f64> {
    let (number, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor))).unwrap_or((text, 1.0));
    let plain = number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let value = number.parse::<f64>().ok().filter(|_| plain)? * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// Thousandths of a core, rounded up; 0 for what is no quantity.
pub fn milli(text: &str) -> u64 {
    // `as` saturates; a thousandth of a thousandth is the arithmetic's, not the text's.
    value(text).map_or(0, |v| (v * 1000.0 - 1e-3).ceil() as u64)
}

/// Bytes; 0 for what is no quantity.
pub fn bytes(text: &str) -> u64 {
    value(text).map_or(0, |v| v.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them_and_nonsense_is_nothing() {
        assert_eq!(["100m", "2", "1.5", "0"].map(milli), [100, 2000, 1500, 0]);
        assert_eq!(["128Mi", "1Gi", "1G", "2048", "1e3"].map(bytes), [134_217_728, 1 << 30, 1_000_000_000, 2048, 1000]);
        assert_eq!(["", "x", "-1", "inf", "NaN", "1e999"].map(bytes), [0; 6]);
    }
}
