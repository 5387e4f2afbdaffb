//! Names of policy modules in messages of `semodule`: pure.

/// The modules that `text` names by their path in the store, like `…/modules/400/NAME/cil`. Each once, at most eight.
pub(crate) fn named_in(text: &str) -> Vec<String> {
    const MOST: usize = 8;
    let mut found: Vec<String> = Vec::new();
    for (_, rest) in text.match_indices("modules/").map(|(at, word)| text.split_at(at + word.len())) {
        let mut parts = rest.splitn(3, '/');
        let (Some(priority), Some(name), Some(_)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let is_priority = matches!(priority.len(), 1..=3) && priority.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = matches!(name.len(), 1..=128)
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if is_priority && is_name && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_that_failed_is_named_once() {
        let text = "Failed to resolve allow statement at /etc/selinux/targeted/tmp/modules/400/localmod/cil:1\n\
            Failed to resolve AST\nUnable to open extra module lang ext file at /etc/selinux/targeted/tmp/modules/400/extra/lang_ext.\n\
            again: tmp/modules/400/localmod/cil:2, /modules/x/y/z, modules/400/";
        assert_eq!(named_in(text), ["localmod", "extra"]);
        assert_eq!(named_in(&"modules/100/a b/cil modules/1000/c/cil".repeat(3)), [""; 0]);
    }
}
