//! Time and memory are bounded, whatever a policy has in it.

use std::time::{Duration, Instant};

use file_contexts::{FileContexts, Texts};

use crate::policies::{letter, policy};

fn seconds(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

#[test]
fn a_million_lines_are_read_and_looked_up_in() {
    let text: String = (0..1_000_000).map(|n| format!("/{n}.* u:r:{n}_t\n")).collect();
    let taken = seconds(|| {
        let contexts = FileContexts::parse(Texts { contexts: text.as_bytes(), ..Texts::default() }).unwrap();
        assert_eq!(contexts.label(b"/999999x", None), Some("u:r:999999_t"));
        assert_eq!(contexts.label(b"/x", None), None);
    });
    assert!(taken < Duration::from_secs(20), "{taken:?}");
}

#[test]
fn too_many_lines_are_an_error() {
    let text = "/a u:r:t\n".repeat(2_200_000);
    let error = FileContexts::parse(Texts { contexts: text.as_bytes(), ..Texts::default() }).err().unwrap();
    assert!(error.to_string().contains("2097152 lines"), "{error}");
}

#[test]
fn what_blows_up_elsewhere_does_not_here() {
    let contexts = policy("/.* A\n/(a*)*b B\n/(a|a)*b C\n/(.*a){20}b D\n/(a?){25}a{25}b E");
    let path = format!("/{}", "a".repeat(200));
    let taken = seconds(|| assert_eq!(letter(&contexts, &path, None), "a"));
    assert!(taken < Duration::from_secs(5), "{taken:?}");
}

#[test]
fn a_lookup_that_takes_too_long_is_given_up_and_told() {
    // Each fits every path, and matches none.
    let contexts = policy(&format!("/.* A\n{}", "/(.*|.*|.*)[^a] B\n".repeat(20_000)));
    let path = format!("/{}", "a".repeat(2000));
    let taken = seconds(|| assert_eq!(letter(&contexts, &path, None), "-"));
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    assert_eq!(contexts.broken(), ["1 lookups were given up: too many regexes fit the path"]);
}

#[test]
fn few_of_many_broken_regexes_are_named() {
    let contexts = policy(&"/( A\n".repeat(200));
    assert_eq!(letter(&contexts, "/x", None), "-");
    let broken = contexts.broken();
    assert_eq!(broken.len(), 51);
    assert_eq!(broken[50], "and 150 other regexes that cannot be compiled");
}

#[test]
fn what_was_forgotten_is_compiled_again() {
    let lines: String = (0..300).map(|n| format!("/.*{n}[a] A\n")).collect();
    let contexts = policy(&lines);
    for _ in 0..3 {
        assert!((0..300).all(|n| letter(&contexts, &format!("/x{n}a"), None) == "a"));
    }
}
