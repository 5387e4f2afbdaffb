//! A boot loader entry, key by key.

use super::listing::Aspects;

/// The aspects of an entry's text: the value of each key, how many lines there are, and the order of keys up to the last
/// `initrd`. Behind it the peer's order is that of a hash table.
pub(super) fn aspects(text: &str) -> Aspects {
    let mut aspects = Aspects::new();
    let keys: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let ordered = keys.iter().rposition(|key| *key == "initrd" || *key == "linux").map_or(0, |last| last + 1);
    aspects.insert("order of keys".to_owned(), keys.get(..ordered).unwrap_or_default().join(" "));
    for line in text.lines() {
        // One space: where there are two, the value begins with one.
        let (key, value) = line.split_once(' ').unwrap_or((line, "(no space)"));
        aspects
            .entry(format!("key {key}"))
            .and_modify(|earlier| *earlier += &format!(" | {value}"))
            .or_insert_with(|| value.to_owned());
    }
    if !text.ends_with('\n') {
        aspects.insert("end".to_owned(), "no line feed".to_owned());
    }
    aspects
}

#[cfg(test)]
mod tests {
    use super::aspects;

    #[test]
    fn order_counts_up_to_the_initrd() {
        let entry = |rest: &str| aspects(&format!("title x\nlinux /k\ninitrd /i\ninitrd /j\n{rest}"));
        assert_eq!(entry("a 1\nb 2\n"), entry("b 2\na 1\n"));
        assert_ne!(entry("a 1\n"), entry("a 2\n"));
        assert_eq!(entry("").get("key initrd").map(String::as_str), Some("/i | /j"));
        assert_ne!(aspects("title x\nversion 1\nlinux /k\n"), aspects("version 1\ntitle x\nlinux /k\n"));
        assert_ne!(aspects("title x\n"), aspects("title x"));
        assert_ne!(aspects("title x\n"), aspects("title  x\n"));
    }
}
