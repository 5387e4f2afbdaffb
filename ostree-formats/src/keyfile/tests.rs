use super::*;
use proptest::prelude::*;

fn get<'a>(text: &'a str, group: &str, key: &str) -> Option<&'a str> {
    Keyfile::parse(text.as_bytes()).unwrap().get(group, key).map(|e| e.text().unwrap())
}

#[test]
fn glib_rules_for_white_space_comments_and_line_ends() {
    let text = "# comment\r\n\n  [sysroot]  \r\n readonly  =  true \n  # indented comment\nx[de]=y\n";
    assert_eq!(get(text, "sysroot", "readonly"), Some("true "));
    assert_eq!(boolean("true "), Some(true));
    assert_eq!(get(text, "sysroot", "x[de]"), Some("y"));
    assert_eq!(get(text, "other", "readonly"), None);
}

#[test]
fn the_last_of_two_keys_counts() {
    assert_eq!(get("[a]\nk=1\nk=2\n", "a", "k"), Some("2"));
}

#[test]
fn groups_of_one_name_are_one_group() {
    let text = "[a]\nk=1\nonly=first\n[b]\nk=other\n[a]\nk=2\n";
    assert_eq!((get(text, "a", "k"), get(text, "a", "only")), (Some("2"), Some("first")));
}

#[test]
fn a_value_may_hold_anything_but_a_line_end() {
    assert_eq!(get("[a]\nk=a=b # no comment\n", "a", "k"), Some("a=b # no comment"));
    assert_eq!(get("[a]\nk=\n", "a", "k"), Some(""));
}

#[test]
fn booleans_are_four_words() {
    for (text, value) in [("true", Some(true)), ("1", Some(true)), ("false", Some(false)), ("0\t", Some(false))] {
        assert_eq!(boolean(text), value);
    }
    for text in ["yes", "no", "TRUE", "on", "", " true", "truee"] {
        assert_eq!(boolean(text), None, "{text:?}");
    }
}

/// As `ostree` 2026.4 took apart `sysroot.bls-append-except-default`.
#[test]
fn lists_are_taken_apart_by_glibs_rules() {
    for (text, list) in [
        ("", Some(vec![])),
        ("a", Some(vec!["a"])),
        ("a;b;", Some(vec!["a", "b"])),
        (";", Some(vec![""])),
        ("a;;b", Some(vec!["a", "", "b"])),
        (r"a\;b;c", Some(vec!["a;b", "c"])),
        (r"a\sb\\c ", Some(vec![r"a b\c "])),
        (r"a\x", None),
        (r"a\", None),
    ] {
        assert_eq!(string_list(text), list.map(|l| l.into_iter().map(str::to_owned).collect()), "{text:?}");
    }
}

#[test]
fn every_error_names_its_line() {
    for (text, message) in [
        ("[a]\nnonsense\n", r#"line 2: "nonsense" is neither a [group], nor a key=value, nor a comment"#),
        ("k=v\n", r#"line 1: key "k" comes before the first [group]"#),
        ("[a]\nk=\0\n", "line 2: a NUL byte"),
        ("[]\n", r#"line 1: "" cannot be the name of a group"#),
        ("[a]\n=v\n", r#"line 2: "=v" is neither a [group], nor a key=value, nor a comment"#),
    ] {
        assert_eq!(Keyfile::parse(text.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn only_what_is_asked_for_has_to_be_utf_8() {
    let bytes = b"# \xe4\n[gr\xe4]\nk=1\n[a]\nk\xe4=2\nname[de]=\xe4\nbad=\xe4\nk=v\n";
    let keyfile = Keyfile::parse(bytes).unwrap();
    assert_eq!(keyfile.get("a", "k").unwrap().text(), Ok("v"));
    let error = keyfile.get("a", "bad").unwrap().text().unwrap_err();
    assert_eq!(error.to_string(), "line 7: not UTF-8 text");
    assert!(Keyfile::parse(b"[a]\nk=v\n\xe4\n").unwrap_err().to_string().starts_with("line 3: "));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Keyfile::parse(&bytes);
    }

    #[test]
    fn no_text_of_this_alphabet_panics(text in "[\\[\\]=# \n\r\ta-c\0]{0,80}") {
        let _ = Keyfile::parse(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read(groups in proptest::collection::btree_map(
        "[a-z][a-z -]{0,8}[a-z]",
        proptest::collection::btree_map("[a-z][a-z-]{0,8}", "[!-~]([ -~]{0,20}[!-~])?", 0..4), 0..4)) {
        let mut text = String::new();
        for (group, entries) in &groups {
            text.push_str(&format!("[{group}]\n"));
            for (key, value) in entries {
                text.push_str(&format!("{key}={value}\n"));
            }
        }
        let parsed = Keyfile::parse(text.as_bytes()).unwrap();
        for (group, entries) in &groups {
            for (key, value) in entries {
                prop_assert_eq!(parsed.get(group, key).map(|e| e.value), Some(value.as_bytes()));
            }
        }
    }
}
