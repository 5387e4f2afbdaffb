//! Boot loader entries on an ESP: `TOKEN-ORDER-CHECKSUM12.SERIAL[+LEFT-DONE].conf`, and their text.
//!
//! Several OSTree systems may share an ESP: each writes only names with its own token. A boot loader that counts boots renames the
//! file ("Automatic Boot Assessment", systemd.io); the text stays.

use std::fmt;
use std::str::FromStr;

use crate::bls::BlsEntry;
use crate::deployment::{DeploymentId, DeploymentPath, parse_serial};
use crate::entry_name::Tries;
use crate::kargs::KernelArguments;

/// The argument that says which deployment an entry boots: a boot link may lead to another one by then.
pub const DEPLOYMENT: &str = "firstroot.deployment";
/// The argument of an entry that counts.
pub const TRIAL: &str = "firstroot.trial";

const CHECKSUM_DIGITS: usize = 12;
const ORDER_DIGITS: usize = 6;
/// The highest order that a name has room for.
pub const HIGHEST_ORDER: u32 = 999_999;

/// Whose entries: `ostree-` and eight hexadecimal digits, made from the UUID of the physical root's filesystem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(String);

impl Token {
    /// From the first bytes of a hash.
    pub fn from_hash(hash: [u8; 4]) -> Self {
        Self(format!("ostree-{:08x}", u32::from_be_bytes(hash)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the name of a projected entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an entry that firstroot writes")]
pub struct NotProjected(pub String);

/// The name of an entry's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectedName {
    /// Whose.
    pub token: Token,
    /// The higher, the earlier in the menu: whatever becomes the default later has a higher one.
    pub order: u32,
    /// The first digits of the commit's checksum.
    pub commit: String,
    /// Of the deployment.
    pub deployserial: u32,
    /// `None`: it has booted successfully, or is not counted.
    pub tries: Option<Tries>,
}

impl ProjectedName {
    /// That of a deployment's entry.
    pub fn of(token: &Token, order: u32, deployment: &DeploymentId, tries: Option<Tries>) -> Self {
        let commit = deployment.commit.as_str().get(..CHECKSUM_DIGITS).unwrap_or_default().to_owned();
        Self { token: token.clone(), order, commit, deployserial: deployment.deployserial, tries }
    }

    /// Whether it is that of an entry of this deployment.
    pub fn is_of(&self, deployment: &DeploymentId) -> bool {
        self.deployserial == deployment.deployserial && deployment.commit.as_str().starts_with(&self.commit)
    }

    /// Whether a boot loader passes it over as long as there is another one.
    pub fn is_bad(&self) -> bool {
        self.tries.as_ref().is_some_and(|tries| tries.left == 0)
    }

    /// What a boot loader calls the entry, without the counters.
    pub fn id(&self) -> String {
        Self { tries: None, ..self.clone() }.to_string()
    }
}

impl FromStr for ProjectedName {
    type Err = NotProjected;
    fn from_str(text: &str) -> Result<Self, NotProjected> {
        let parse = || {
            let rest = text.strip_suffix(".conf")?.strip_prefix("ostree-")?;
            let (hash, rest) = rest.split_once('-')?;
            let (order, rest) = rest.split_once('-')?;
            let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if hash.len() != 8 || !is_hex(hash) || order.len() != ORDER_DIGITS {
                return None;
            }
            let (rest, tries) = match rest.split_once('+') {
                Some((rest, tries)) => (rest, Some(tries.parse::<Tries>().ok()?)),
                None => (rest, None),
            };
            let (commit, deployserial) = rest.split_once('.')?;
            if commit.len() != CHECKSUM_DIGITS || !is_hex(commit) || !order.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let token = Token(format!("ostree-{hash}"));
            let deployserial = parse_serial(deployserial)?;
            Some(Self { token, order: order.parse().ok()?, commit: commit.to_owned(), deployserial, tries })
        };
        parse().ok_or_else(|| NotProjected(text.to_owned()))
    }
}

impl fmt::Display for ProjectedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, order, commit, deployserial, tries } = self;
        write!(f, "{token}-{order:0ORDER_DIGITS$}-{commit}.{deployserial}")?;
        if let Some(Tries { left, done }) = tries {
            write!(f, "+{left}")?;
            if let Some(done) = done {
                write!(f, "-{done}")?;
            }
        }
        f.write_str(".conf")
    }
}

/// What one entry is made from.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The entry in `/boot/loader`.
    pub entry: &'a BlsEntry,
    /// What it boots.
    pub deployment: &'a DeploymentPath,
    /// Arguments that it has as long as it counts, and how often it is tried; `None`: it does not count.
    pub trial: Option<Trial<'a>>,
}

/// As long as an entry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial<'a> {
    /// How often it is tried.
    pub tries: u32,
    /// Further kernel arguments.
    pub arguments: &'a str,
}

/// Keys of libostree's that no other boot loader reads.
const NOT_PROJECTED: [&str; 2] = ["aboot", "abootcfg"];
const MADE: &str = "# made by firstroot from the entry in /boot/loader: changes here are lost\n";
/// Before the deployment, whose stateroot the name of the file does not have.
const OF: &str = "# firstroot deployment ";
/// Keys whose values are paths in `/boot`.
const PATHS: [&str; 5] = ["linux", "initrd", "devicetree", "devicetree-overlay", "fdtdir"];

/// The text of the entry with this order.
pub fn text(token: &Token, order: u32, source: &Source<'_>) -> String {
    // With the three that are set below: an entry of very many lines would have its room doubled for them.
    let mut entry = BlsEntry::with_room_for(source.entry.fields().len() + 3);
    for (key, value) in source.entry.fields() {
        match key.as_str() {
            key if NOT_PROJECTED.contains(&key) => {}
            "title" => entry.push("title", without_index(value)),
            "version" | "sort-key" | "options" => {}
            key if PATHS.contains(&key) => {
                let paths: Vec<&str> = value.split(' ').map(in_boot).collect();
                entry.push(key, &paths.join(" "));
            }
            key => entry.push(key, value),
        }
    }
    entry.set("version", &format!("{order:0ORDER_DIGITS$}"));
    entry.set("sort-key", token.as_str());
    entry.set("options", &options(source));
    let mut text = format!("{MADE}{OF}/{}\n", source.deployment);
    if let Some(trial) = source.trial {
        text.push_str(&format!("# firstroot tries {}\n", trial.tries));
    }
    text + &entry.to_text()
}

/// The deployment that an entry boots, as its text says.
pub fn deployment_in(text: &str) -> Option<DeploymentPath> {
    text.lines().find_map(|line| line.strip_prefix(OF)?.parse().ok())
}

/// How often an entry is tried, as its text says; `None`: it was not written to be counted.
pub fn tries_in(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("# firstroot tries ")?.parse().ok())
}

/// The path in `/boot` that the value of an entry means.
pub fn in_boot(path: &str) -> &str {
    path.strip_prefix("/boot").filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// The place in the list changes with every list.
fn without_index(title: &str) -> &str {
    let Some((before, mark)) = title.rsplit_once(" (ostree:") else { return title };
    let index = mark.strip_suffix(')').map(|mark| mark.rsplit(':').next().unwrap_or(mark));
    if index.and_then(parse_serial).is_some() { before } else { title }
}

fn options(source: &Source<'_>) -> String {
    let mut arguments = KernelArguments::parse(&source.entry.all_options());
    arguments.set(DEPLOYMENT, &source.deployment.id.to_string());
    let Some(trial) = source.trial else { return arguments.to_string() };
    let added = KernelArguments::parse(trial.arguments);
    let trial = added.words().iter().cloned().chain([TRIAL.to_owned()]).collect();
    arguments.insert_at_end(trial);
    arguments.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

    fn deployment() -> DeploymentPath {
        format!("ostree/deploy/debian/deploy/{SUM}.3").parse().unwrap()
    }

    #[test]
    fn names_are_read_and_written() {
        let token = Token::from_hash([0x1a, 0x2b, 0x3c, 0x4d]);
        let name = ProjectedName::of(&token, 7, &deployment().id, Some(Tries { left: 3, done: Some(0) }));
        assert_eq!(name.to_string(), "ostree-1a2b3c4d-000007-5e1f1e7a4b0c.3+3-0.conf");
        assert_eq!(name.to_string().parse::<ProjectedName>().unwrap(), name);
        assert_eq!(name.id(), "ostree-1a2b3c4d-000007-5e1f1e7a4b0c.3.conf");
        assert!(name.is_of(&deployment().id));
        for bad in [
            "ostree-1.conf",
            "ostree-1a2b3c4d-7-5e1f1e7a4b0c.3.conf",
            "ostree-1A2b3c4d-000007-5e1f1e7a4b0c.3.conf",
            "ostree-1a2b3c4d-000007-5e1f1e7a4b0c.3.conf.tmp",
            "ostree-1a2b3c4d-000007-5e1f1e7a4b0c.03.conf",
            "ostree-1a2b3c4d-000007-5e1f1e7a4b0c.3+x.conf",
            "ostree-1a2b3c4d-+00007-5e1f1e7a4b0c.3.conf",
        ] {
            assert!(bad.parse::<ProjectedName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_text_names_the_deployment_and_keeps_what_is_not_libostrees() {
        let source = "title Debian 13 (ostree:default:0)\nversion 2\noptions rw ostree=/ostree/boot.1/x quiet -- single\n\
                      linux /boot/ostree/x/vmlinuz\ninitrd /boot/ostree/x/initramfs.img\naboot /a\nabootcfg /b\nx-more 1\n";
        let entry = BlsEntry::parse(source.as_bytes()).unwrap();
        let token = Token::from_hash([0; 4]);
        let deployment = deployment();
        let plain = Source { entry: &entry, deployment: &deployment, trial: None };
        let expected = format!(
            "# made by firstroot from the entry in /boot/loader: changes here are lost\n# firstroot deployment /{deployment}\ntitle Debian 13\nversion 000012\n\
             options rw ostree=/ostree/boot.1/x quiet firstroot.deployment={SUM}.3 -- single\nlinux /ostree/x/vmlinuz\n\
             initrd /ostree/x/initramfs.img\nx-more 1\nsort-key ostree-00000000\n"
        );
        assert_eq!(text(&token, 12, &plain), expected);
        assert_eq!(deployment_in(&expected).as_ref(), Some(&deployment));
        assert_eq!(tries_in(&expected), None);
        let counted = Source { trial: Some(Trial { tries: 3, arguments: "panic=30 rd.emergency=reboot" }), ..plain };
        let counted = text(&token, 12, &counted);
        assert_eq!(tries_in(&counted), Some(3));
        let arguments =
            format!("firstroot.deployment={SUM}.3 panic=30 rd.emergency=reboot firstroot.trial -- single\n");
        assert!(counted.contains(&arguments), "{counted}");
    }

    #[test]
    fn only_the_place_in_the_list_is_left_out_of_a_title() {
        for (title, kept) in [
            ("Fedora 42 (ostree:0)", "Fedora 42"),
            ("Fedora 42 (ostree:fedora:12)", "Fedora 42"),
            ("Fedora (ostree:beta)", "Fedora (ostree:beta)"),
            ("Fedora", "Fedora"),
        ] {
            assert_eq!(without_index(title), kept);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<ProjectedName>();
            let _ = format!("ostree-00000000-000001-{text}.conf").parse::<ProjectedName>();
            let _ = tries_in(&text);
        }

        #[test]
        fn what_is_written_is_read(order in 0..=HIGHEST_ORDER, sum in "[0-9a-f]{64}", serial: u32, left in 0..10u32, done: Option<u32>) {
            let id: DeploymentId = format!("{sum}.{serial}").parse().unwrap();
            let name = ProjectedName::of(&Token::from_hash([1; 4]), order, &id, Some(Tries { left, done }));
            prop_assert_eq!(name.to_string().parse::<ProjectedName>().unwrap(), name);
        }
    }
}
