use ostree_formats::deployment::DeploymentPath;
use proptest::prelude::*;

use super::*;

fn listed(stateroot: &str, digits: &str, serial: u32, version: Option<&str>) -> ListedDeployment {
    let sum = format!("{digits:0<64}");
    let path: DeploymentPath = format!("ostree/deploy/{stateroot}/deploy/{sum}.{serial}").parse().unwrap();
    ListedDeployment { path, version: version.map(str::to_owned), time: None }
}

/// Number 0 and 2 have one commit; number 3 is in another stateroot.
fn disk() -> Deployments {
    let list = vec![
        listed("os", "aaaa1", 1, Some("13.2")),
        listed("os", "bbbb", 0, Some("2")),
        listed("os", "aaaa1", 0, Some("13.2")),
        listed("other", "aaaa2", 0, Some("42")),
        listed("os", "20261128", 0, Some("bbbb")),
    ];
    Deployments { list, ..Deployments::default() }
}

fn os() -> Scope {
    Scope::Stateroot("os".parse().unwrap())
}

/// The index of what is chosen.
fn chosen(deployments: &Deployments, scope: &Scope, word: &str) -> Result<usize, String> {
    let chosen = choose(deployments, scope, word).map_err(|error| error.to_string())?;
    Ok(deployments.list.iter().position(|listed| listed == chosen).unwrap())
}

#[test]
fn number_version_and_first_digits_name_one() {
    let disk = disk();
    let whole = format!("{:0<64}.0", "aaaa1");
    for (word, index) in [("0", 0), ("1", 1), ("4", 4), ("aaaa1.1", 0), ("aaaa.0", 2), ("2026", 4), (&whole, 2)] {
        assert_eq!(chosen(&disk, &os(), word), Ok(index), "{word}");
    }
}

#[test]
fn what_several_have_is_an_error_that_names_them() {
    let several = "several deployments have that number, version or checksum: ";
    for (word, which) in [
        ("13.2", "0 (aaaa1.1, version 13.2), 2 (aaaa1.0, version 13.2)"),
        ("aaaa", "0 (aaaa1.1, version 13.2), 2 (aaaa1.0, version 13.2)"),
        // A number, and the version of another one.
        ("2", "1 (bbbb0.0, version 2), 2 (aaaa1.0, version 13.2)"),
        // A checksum, and the version of another one.
        ("bbbb", "1 (bbbb0.0, version 2), 4 (20261.0, version bbbb)"),
    ] {
        assert_eq!(chosen(&disk(), &os(), word), Err(format!("{several}{which}")), "{word}");
    }
}

#[test]
fn what_none_has_is_an_error_that_says_what_there_is() {
    let mut disk = disk();
    let there_are = "0 (aaaa1.1, version 13.2), 1 (bbbb0.0, version 2), 2 (aaaa1.0, version 13.2), \
                     3 (aaaa2.0, version 42), 4 (20261.0, version bbbb)";
    for word in ["", "5", "00", "+1", "-1", "13", "aaa", "AAAA", "aaaa1.01", "aaaa1.", ".0", "13.2 ", "ä"] {
        let error = format!("no deployment has that number, version or checksum; there are: {there_are}");
        assert_eq!(chosen(&disk, &os(), word), Err(error), "{word:?}");
    }
    disk.list.clear();
    let error = "no deployment has that number, version or checksum; there is none";
    assert_eq!(chosen(&disk, &os(), "0"), Err(error.to_owned()));
}

#[test]
fn another_stateroot_is_never_chosen() {
    let disk = disk();
    let other = format!("{:0<64}.0", "aaaa2");
    for word in ["3", "42", "aaaa2", &other] {
        let error = "that deployment is in the stateroot other, and ostree= names the stateroot os";
        assert_eq!(chosen(&disk, &os(), word), Err(error.to_owned()), "{word}");
        assert_eq!(chosen(&disk, &Scope::Any, word), Ok(3), "{word}");
    }
    let unknown = chosen(&disk, &Scope::OnlyStateroot, "0").unwrap_err();
    assert!(unknown.starts_with("ostree= names no stateroot of this disk, which has several; there are: 0 ("));
    let only = Deployments { list: disk.list[..3].to_vec(), ..Deployments::default() };
    assert_eq!(chosen(&only, &Scope::OnlyStateroot, "1"), Ok(1));
}

/// The order is uncertain, and so are versions.
#[test]
fn what_could_not_be_read_leaves_only_checksums() {
    let unread = vec![("/ostree/repo/objects/x.commit".to_owned(), Errno::IO)];
    let disk = Deployments { unread: unread.clone(), ..disk() };
    assert_eq!(chosen(&disk, &os(), "aaaa1.1"), Ok(0));
    for word in ["0", "13.2", "none"] {
        let error = "/ostree/repo/objects/x.commit cannot be read: Input/output error (os error 5), so only the name of a \
                     deployment counts: its first digits";
        assert_eq!(chosen(&disk, &os(), word), Err(error.to_owned()), "{word}");
    }
    // There may be more deployments, with the same digits.
    let disk = Deployments { unlisted: unread, ..self::disk() };
    assert!(
        chosen(&disk, &os(), "aaaa1.1").unwrap_err().ends_with("only the name of a deployment counts: CHECKSUM.SERIAL")
    );
    assert_eq!(chosen(&disk, &os(), &format!("{:0<64}.1", "aaaa1")), Ok(0));
}

#[test]
fn as_many_digits_as_tell_checksums_apart() {
    assert_eq!(digits_needed(Vec::new()), 4);
    assert_eq!(digits_needed(vec!["aaaaaa", "aaaaaa", "bbbb"]), 4);
    assert_eq!(digits_needed(vec!["aaaaaab", "c", "aaaaaac"]), 7);
}

proptest! {
    /// What a report advises is what a boot understands: one deployment, this one.
    #[test]
    fn the_word_for_a_deployment_means_it(
        names in proptest::collection::vec(("os|other", "[0-2ab]{3,6}", 0..3u32, proptest::option::of("[0-2ab.]{1,5}")), 1..9),
    ) {
        let mut list: Vec<ListedDeployment> = Vec::new();
        for (stateroot, digits, serial, version) in &names {
            let new = listed(stateroot, digits, *serial, version.as_deref());
            if list.iter().all(|known| known.path != new.path) {
                list.push(new);
            }
        }
        let disk = Deployments { list, ..Deployments::default() };
        for (index, listed) in disk.list.iter().enumerate() {
            let scope = Scope::Stateroot(listed.path.stateroot.clone());
            let word = word_for(&disk, &scope, index).unwrap();
            prop_assert_eq!(chosen(&disk, &scope, &word), Ok(index));
        }
    }

    /// Whatever the word is: what is chosen is in the stateroot, and has it as number, version, or name.
    #[test]
    fn nothing_else_is_chosen(word in "[0-5ab.]{0,6}|\\PC{0,6}") {
        let disk = disk();
        if let Ok(index) = chosen(&disk, &os(), &word) {
            let listed = &disk.list[index];
            prop_assert_eq!(listed.path.stateroot.as_str(), "os");
            let is_named = listed.path.id.to_string().starts_with(word.split('.').next().unwrap());
            prop_assert!(word == index.to_string() || listed.version.as_deref() == Some(&word) || is_named);
        }
    }
}
