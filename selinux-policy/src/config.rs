//! `/etc/selinux/config`, by the rules of libselinux (selinux_config(5)).

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config<'a> {
    /// `SELINUX=` is `enforcing` or `permissive`.
    pub is_on: bool,
    /// `SELINUXTYPE=`: the name of the directory of the policy.
    pub policy: Option<&'a str>,
}

impl<'a> Config<'a> {
    /// Reads the text. Keys stand at the beginning of a line, and the last line counts.
    pub fn parse(text: &'a str) -> Self {
        let mut config = Self::default();
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("SELINUX=") {
                let begins = |word: &str| {
                    value.trim_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
                };
                config.is_on = begins("enforcing") || begins("permissive");
            } else if let Some(value) = line.strip_prefix("SELINUXTYPE=") {
                config.policy = Some(value.trim()).filter(|name| !name.is_empty());
            }
        }
        config
    }

    /// The policy's name, if it is the name of a directory and cannot lead to another place.
    pub fn directory(&self) -> Option<&'a str> {
        self.policy.filter(|name| !matches!(*name, "." | "..") && !name.contains(['/', '\0']) && name.len() < 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_keys_stand_at_its_beginning() {
        let text = "# SELINUX=enforcing\n SELINUX=enforcing\nSELINUX=disabled\nSELINUX=Enforcing # x\nSELINUXTYPE=mls\nSELINUXTYPE= targeted \r\n";
        assert_eq!(Config::parse(text), Config { is_on: true, policy: Some("targeted") });
        assert_eq!(Config::parse("SELINUX=permissive\nSELINUX=no\nSELINUXTYPE=\n"), Config::default());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        for name in ["../..", "..", ".", "a/b", "/etc"] {
            let text = format!("SELINUX=enforcing\nSELINUXTYPE={name}\n");
            assert_eq!((Config::parse(&text).policy, Config::parse(&text).directory()), (Some(name), None));
        }
    }
}
