//! Lines of keys and values, as systemd-boot reads them in `loader.conf` and in entries.

/// The keys and values, in their order. Bytes that are no text are replaced; a NUL byte ends the text, as in a text of C.
pub(super) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let is_blank = |c: char| c == ' ' || c == '\t';
    let pair = |line: &str| {
        let line = line.trim_matches(is_blank);
        let (key, value) = line.split_once(is_blank)?;
        (!line.starts_with('#')).then(|| (key.to_owned(), unquoted(value.trim_start_matches(is_blank)).to_owned()))
    };
    text.split(['\n', '\r']).filter_map(pair).collect()
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_systemd_boot_reads_them() {
        let text = b"# x y\n\ttimeout\t 3 \r\ndefault \"a b\"\nalone\nkey '\n\xff\xfe z\nlast 1\0after 2\n";
        let pairs = pairs(text);
        let shown: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [("timeout", "3"), ("default", "a b"), ("key", "'"), ("\u{fffd}\u{fffd}", "z"), ("last", "1")];
        assert_eq!(shown, expected);
    }
}
