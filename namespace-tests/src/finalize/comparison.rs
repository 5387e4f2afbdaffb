//! What is different between two listings, one aspect at a time.

use std::fmt::{self, Write};

use super::listing::{Aspects, Listing};

/// How many are shown: who has made a thousand wants to see the first ones.
const SHOWN: usize = 40;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where; not a file: see [`Listing`].
    pub path: String,
    /// In what; `kind` where only one has the path at all.
    pub aspect: String,
    /// What it is with ours; nothing: not there.
    pub ours: Option<String>,
    /// What it is with the peer.
    pub peer: Option<String>,
}

impl Found {
    /// Whether only ours has the path.
    pub fn is_only_ours(&self) -> bool {
        self.aspect == "kind" && self.peer.is_none()
    }

    /// Whether only the peer has the path.
    pub fn is_only_the_peers(&self) -> bool {
        self.aspect == "kind" && self.ours.is_none()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { path, aspect, ours, peer } = self;
        match (ours, peer) {
            (Some(ours), None) if self.is_only_ours() => write!(f, "{path}: only ours has this {ours}"),
            (None, Some(peer)) if self.is_only_the_peers() => write!(f, "{path}: only the peer has this {peer}"),
            _ => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
                write!(f, "{path}: {aspect}: ours {}, peer {}", shown(ours), shown(peer))
            }
        }
    }
}

/// All differences, by path.
pub fn compare(ours: &Listing, peer: &Listing) -> Vec<Found> {
    let mut found = Vec::new();
    let mut paths: Vec<&String> = ours.keys().chain(peer.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        match (ours.get(path), peer.get(path)) {
            (Some(ours), Some(peer)) => found.extend(compare_aspects(path, ours, peer)),
            (ours, peer) => found.push(Found {
                path: path.clone(),
                aspect: "kind".to_owned(),
                ours: ours.and_then(|aspects| aspects.get("kind").cloned()),
                peer: peer.and_then(|aspects| aspects.get("kind").cloned()),
            }),
        }
    }
    found
}

fn compare_aspects(path: &str, ours: &Aspects, peer: &Aspects) -> Vec<Found> {
    let mut names: Vec<&String> = ours.keys().chain(peer.keys()).collect();
    names.sort();
    names.dedup();
    let differs = names.into_iter().filter(|name| ours.get(*name) != peer.get(*name));
    let found = |name: &String| Found {
        path: path.to_owned(),
        aspect: name.clone(),
        ours: ours.get(name).cloned(),
        peer: peer.get(name).cloned(),
    };
    differs.map(found).collect()
}

/// One a line, with checksums that can be told apart and no longer than needed.
pub fn show(found: &[Found]) -> String {
    let mut text = String::new();
    for found in found.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", shortened(&found.to_string()));
    }
    if found.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more", found.len() - SHOWN);
    }
    text
}

/// `text` with eight characters of each checksum.
fn shortened(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hex = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        if hex == 64 {
            out.push_str(rest.get(..8).unwrap_or_default());
            out.push('…');
        }
        let length = if hex == 64 { 64 } else { hex.max(first.len_utf8()) };
        if hex != 64 {
            out.push_str(rest.get(..length).unwrap_or_default());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(things: &[(&str, &[(&str, &str)])]) -> Listing {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        things.iter().map(|(path, aspects)| ((*path).to_owned(), aspects.iter().map(owned).collect())).collect()
    }

    #[test]
    fn each_aspect_is_told_by_itself() {
        let ours = listing(&[("a", &[("kind", "file"), ("mode", "0644")]), ("b", &[("kind", "fifo")])]);
        let peer = listing(&[("a", &[("kind", "file"), ("mode", "0600"), ("owner", "0:0")])]);
        assert_eq!(
            show(&compare(&ours, &peer)),
            "  a: mode: ours 0644, peer 0600\n  a: owner: ours none, peer 0:0\n  b: only ours has this fifo\n"
        );
        assert_eq!(compare(&ours, &ours), []);
    }

    #[test]
    fn a_checksum_is_shortened_and_nothing_else_is() {
        let text = format!("boot/os-{}/é-{}", "ab".repeat(32), "ab".repeat(20));
        assert_eq!(shortened(&text), format!("boot/os-abababab…/é-{}", "ab".repeat(20)));
    }
}
