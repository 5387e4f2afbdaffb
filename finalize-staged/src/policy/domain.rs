//! The SELinux domain in which this program runs, and what the running policy allows it.

use std::fs;
use std::io::{Read, Write};

/// selinuxfs, if SELinux is on.
const SELINUXFS: &str = "/sys/fs/selinux";

/// The state of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    /// Like `system_u:system_r:install_t:s0`.
    label: String,
    is_enforcing: bool,
    /// Whether labels can be read and written that the running policy does not know; `None`: the kernel does not say.
    has_mac_admin: Option<bool>,
}

impl Domain {
    /// That of this process; `None`: SELinux is off.
    pub(crate) fn of_this_process() -> Option<Self> {
        let is_enforcing = fs::read_to_string(format!("{SELINUXFS}/enforce")).ok()?.trim() == "1";
        let label = fs::read_to_string("/proc/self/attr/current").ok()?;
        let label = label.trim_matches(['\0', '\n']).to_owned();
        let has_mac_admin = allowed(&label, "capability2", "mac_admin");
        Some(Self { label, is_enforcing, has_mac_admin })
    }

    /// One line about it.
    pub(crate) fn text(&self) -> String {
        let Self { label, is_enforcing, has_mac_admin } = self;
        let mode = if *is_enforcing { "enforcing" } else { "permissive" };
        let what = match has_mac_admin {
            _ if !self.is_limited() => "it can set every label of the new policy",
            Some(_) => {
                "it cannot set labels that the running policy does not know (capability2 mac_admin), and uses those of the \
                 running deployment instead; the policy should give this program the type install_exec_t"
            }
            None => "the kernel does not say whether it can set labels that the running policy does not know",
        };
        format!("SELinux is {mode}, and this program runs as {label}: {what}")
    }

    /// Whether something is missing.
    pub(crate) fn is_limited(&self) -> bool {
        // In permissive mode nothing is refused.
        self.is_enforcing && self.has_mac_admin != Some(true)
    }
}

/// Asks the kernel whether a process with `label` may do something to itself.
fn allowed(label: &str, class: &str, permission: &str) -> Option<bool> {
    let number =
        |path: String| fs::read_to_string(format!("{SELINUXFS}/class/{path}")).ok()?.trim().parse::<u32>().ok();
    let class_number = number(format!("{class}/index"))?;
    let bit = number(format!("{class}/perms/{permission}"))?.checked_sub(1)?;
    let mut access = fs::OpenOptions::new().read(true).write(true).open(format!("{SELINUXFS}/access")).ok()?;
    access.write_all(format!("{label} {label} {class_number}").as_bytes()).ok()?;
    let mut answer = [0; 256];
    let length = access.read(&mut answer).ok()?;
    is_allowed(std::str::from_utf8(answer.get(..length)?).ok()?, bit)
}

/// The answer begins with the permissions as a hexadecimal number.
fn is_allowed(answer: &str, bit: u32) -> Option<bool> {
    let allowed = u32::from_str_radix(answer.split_whitespace().next()?, 16).ok()?;
    Some(allowed.checked_shr(bit)? & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_of_the_permission_decides() {
        assert_eq!(is_allowed("2 ffffffff 0 ffffffff 5 0", 1), Some(true));
        assert_eq!(is_allowed("2 ffffffff 0 ffffffff 5 0", 0), Some(false));
        assert_eq!(is_allowed("x", 0), None);
        assert_eq!(is_allowed("ffffffff", 40), None);
    }
}
