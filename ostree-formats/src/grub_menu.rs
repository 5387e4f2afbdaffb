//! The menu in a `grub.cfg` that a program has written: which entry boots a deployment, and the same menu with that entry as the default.
//!
//! GRUB's language is a shell's. What is read of it here is what `grub-mkconfig` and libostree's part of it write: an entry begins with a
//! line `menuentry 'TITLE' … {` and ends with a line `}`. Anything else is an error, and then there is no such menu.

use crate::bootlink::Bootlink;
use crate::grub_cfg::GrubNames;

/// What [`with_default`] writes begins with it.
const MARK: &str = "\n### firstroot: the default of this menu did not come up ###\n";

/// Why there is no menu with another default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMenu {
    /// No entry boots the deployment.
    #[error("no entry of its menu boots /{0}")]
    NoEntry(Bootlink),
    /// The entry is in a submenu, a function or a condition.
    #[error("the entry {:?} is inside of something else", begin_of(.0))]
    Inside(String),
    /// GRUB could take it for another one.
    #[error("GRUB could take another entry for {:?}", begin_of(.0))]
    Ambiguous(String),
    /// It is not known what the entry is.
    #[error("its line {:?} cannot be understood", begin_of(.0))]
    NotUnderstood(String),
}

/// A line of a script may be as long as the script.
fn begin_of(text: &str) -> String {
    text.chars().take(100).collect()
}

/// `script`, with the entry as its default that boots through `link`: what was set before has no effect, but for an entry that was asked for
/// once (`grub-reboot`). The script is the same up to its end, which also takes the place of what an earlier call has added.
///
/// # Errors
/// There is no such entry, or no name that means it alone.
pub fn with_default(script: &[u8], link: &Bootlink) -> Result<Vec<u8>, NoMenu> {
    let script = script.get(..mark(script).unwrap_or(script.len())).unwrap_or(script);
    let entries = entries(&String::from_utf8_lossy(script))?;
    // Its recovery mode, if there is one, follows it.
    let Some(entry) = entries.iter().find(|entry| entry.bootlinks.contains(link)) else {
        return Err(NoMenu::NoEntry(link.clone()));
    };
    let name = entry.id.as_ref().unwrap_or(&entry.title);
    if !entry.is_at_the_top {
        return Err(NoMenu::Inside(name.clone()));
    }
    let same = entries.iter().filter(|other| other.id.as_ref() == Some(name) || other.title == *name).count();
    if same != 1 || !is_a_name(name) {
        return Err(NoMenu::Ambiguous(name.clone()));
    }
    // grub-mkconfig sets it for what `grub-reboot` has asked for.
    let default =
        format!("if [ \"${{boot_once}}\" != true ]; then set default='{}'; fi\n", name.replace('\'', r"'\''"));
    Ok([script, MARK.as_bytes(), default.as_bytes()].concat())
}

/// Whether [`with_default`] has written the script.
pub fn has_another_default(script: &[u8]) -> bool {
    mark(script).is_some()
}

fn mark(script: &[u8]) -> Option<usize> {
    script.windows(MARK.len()).position(|window| window == MARK.as_bytes())
}

/// Whether GRUB looks for an entry of this name: it takes what begins with a digit for a number, and `>` for the beginning of a submenu.
/// A variable has another value there.
fn is_a_name(name: &str) -> bool {
    let first = name.trim_start().chars().next();
    first.is_some_and(|first| !first.is_ascii_digit() && !matches!(first, '+' | '-'))
        && !name.contains(|character: char| matches!(character, '>' | '$' | '\u{fffd}') || character.is_control())
}

/// An entry of a menu, or a submenu.
struct Entry {
    title: String,
    id: Option<String>,
    bootlinks: Vec<Bootlink>,
    is_at_the_top: bool,
}

fn entries(script: &str) -> Result<Vec<Entry>, NoMenu> {
    let mut entries: Vec<Entry> = Vec::new();
    // Whether each block that is open is an entry.
    let mut blocks: Vec<bool> = Vec::new();
    for line in script.lines().map(str::trim) {
        let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        match first {
            comment if comment.starts_with('#') => {}
            "menuentry" | "submenu" => {
                let entry = entry(rest, blocks.is_empty()).filter(|_| line.ends_with('{'));
                entries.push(entry.ok_or_else(|| NoMenu::NotUnderstood(line.to_owned()))?);
                blocks.push(first == "menuentry");
            }
            "if" if !line.ends_with("fi") => blocks.push(false),
            "}" | "fi" => drop(blocks.pop()),
            _ if line.ends_with('{') => blocks.push(false),
            _ => {
                if let (Some(true), Some(entry)) = (blocks.last(), entries.last_mut()) {
                    entry.bootlinks.extend(GrubNames::of(line.as_bytes()).bootlinks);
                }
            }
        }
    }
    Ok(entries)
}

/// The entry whose line has these words after the first one.
fn entry(words: &str, is_at_the_top: bool) -> Option<Entry> {
    const ID_OPTIONS: [&str; 3] = ["--id", "$menuentry_id_option", "${menuentry_id_option}"];
    const OTHERS_WITH_A_VALUE: [&str; 4] = ["--class", "--users", "--hotkey", "--source"];
    let words = shlex::split(words)?;
    let (mut title, mut id) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if ID_OPTIONS.contains(&word.as_str()) {
            id = words.next();
        } else if let Some(value) = word.strip_prefix("--id=") {
            id = Some(value.to_owned());
        } else if OTHERS_WITH_A_VALUE.contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with("--") && word != "{" && title.is_none() {
            title = Some(word);
        }
    }
    Some(Entry { title: title?, id, bootlinks: Vec::new(), is_at_the_top })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(serial: u32) -> Bootlink {
        format!("ostree/boot.1/os/{}/{serial}", "b".repeat(64)).parse().unwrap()
    }

    fn menu(first: &str, second: &str) -> String {
        format!(
            "set default=\"${{saved_entry}}\"\nfunction load_video {{\n  insmod all_video\n}}\n\
             ### BEGIN /etc/grub.d/15_ostree ###\n\
             menuentry {first} {{\nlinux /x quiet ostree=/{}\n# initrd /x ostree=/{}\n}}\n\
             menuentry {second} {{\n\tlinux /y quiet ostree=/{}\n}}\n\
             menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {{\n\tfwsetup\n}}\n",
            link(0),
            link(1),
            link(1)
        )
    }

    fn added(script: &str) -> Result<String, NoMenu> {
        let menu = with_default(script.as_bytes(), &link(1))?;
        let text = String::from_utf8(menu).unwrap();
        assert!(text.starts_with(script));
        Ok(text.rsplit_once(MARK).unwrap().1.to_owned())
    }

    fn default(name: &str) -> String {
        format!("if [ \"${{boot_once}}\" != true ]; then set default='{name}'; fi\n")
    }

    #[test]
    fn an_entry_is_named_by_its_id_or_by_its_title() {
        let debian = r#"--class gnu-linux "${menuentry_id_option}" "#;
        let first = format!("'Debian 2 (ostree:0)' {debian} 'ostree-0-uuid'");
        for (second, name) in [
            (format!("'Debian 1 (ostree:1)' {debian} 'ostree-1-uuid'"), "ostree-1-uuid"),
            ("'Debian 1 (ostree:1)' --id ostree-1".to_owned(), "ostree-1"),
            ("\"Debian 1\" --id=older".to_owned(), "older"),
            ("--class os --unrestricted 'Debian 1'".to_owned(), "Debian 1"),
            (r"'Ada'\''s own' --class os".to_owned(), r"Ada'\''s own"),
        ] {
            assert_eq!(added(&menu(&first, &second)).unwrap(), default(name));
        }
    }

    #[test]
    fn what_is_added_takes_the_place_of_what_was_added() {
        let script = menu("first", "second");
        let once = with_default(script.as_bytes(), &link(0)).unwrap();
        assert!(once.ends_with(default("first").as_bytes()) && has_another_default(&once));
        let twice = with_default(&once, &link(1)).unwrap();
        assert_eq!(twice, with_default(script.as_bytes(), &link(1)).unwrap());
    }

    #[test]
    fn what_grub_could_take_for_something_else_is_refused() {
        for second in
            ["'2 (ostree:1)'", "first", "'a > b'", "\"$title\"", "''", "'UEFI Firmware Settings'", "uefi-firmware"]
        {
            assert!(matches!(added(&menu("first", second)), Err(NoMenu::Ambiguous(_))), "{second}");
        }
        let around = [("submenu 'More' {", "}"), ("if [ -e /x ]; then", "fi"), ("function x {", "}")];
        for (begin, end) in around {
            let inside = format!("{begin}\n{}{end}\n", menu("first", "second"));
            assert_eq!(added(&inside), Err(NoMenu::Inside("second".to_owned())), "{begin}");
        }
        let submenu = format!("{}submenu second {{\n}}\n", menu("first", "second"));
        assert_eq!(added(&submenu), Err(NoMenu::Ambiguous("second".to_owned())));
        for script in ["", "blscfg\n", "if [ 1 ]; then true; fi\n"] {
            assert_eq!(added(script), Err(NoMenu::NoEntry(link(1))), "{script}");
        }
        let long = added(&format!("menuentry {}\n", "x".repeat(100_000))).unwrap_err().to_string();
        assert!(long.len() < 200, "{} bytes are told", long.len());
        for script in [menu("first", "'unbalanced"), menu("first", "second").replace('{', ""), menu("--id x", "second")]
        {
            assert!(matches!(added(&script), Err(NoMenu::NotUnderstood(_))), "{script}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "(menuentry '[a-z]'|[{}\n #\"'$>])*") {
            let _ = with_default(&bytes, &link(1));
            let _ = with_default(text.as_bytes(), &link(1));
        }
    }
}
