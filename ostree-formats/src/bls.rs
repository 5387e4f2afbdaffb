//! stub
#![allow(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlsEntry {
    fields: Vec<(String, String)>,
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8 text")]
pub struct BlsError;
impl BlsEntry {
    pub fn parse(bytes: &[u8]) -> Result<Self, BlsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BlsError)?;
        let mut fields = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (k, v) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            fields.push((k.to_owned(), v.trim().to_owned()));
        }
        Ok(Self { fields })
    }
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }
    pub fn set(&mut self, key: &str, value: &str) {
        if let Some(i) = self.fields.iter().position(|(k, _)| k == key) {
            let mut n = 0;
            self.fields.retain(|(k, _)| {
                n += 1;
                k != key || n - 1 == i
            });
            if let Some(f) = self.fields.get_mut(i) {
                f.1 = value.to_owned();
            }
        } else {
            self.push(key, value);
        }
    }
    pub fn push(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), value.to_owned()));
    }
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(k, _)| k != key);
    }
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }
    pub fn to_text(&self) -> String {
        const ORDER: [&str; 6] = ["title", "version", "options", "devicetree", "linux", "initrd"];
        let mut out = String::new();
        for key in ORDER {
            for v in self.values(key) {
                out.push_str(&format!("{key} {v}\n"));
            }
        }
        for (k, v) in self.fields.iter().filter(|(k, _)| !ORDER.contains(&k.as_str())) {
            out.push_str(&format!("{k} {v}\n"));
        }
        out
    }
}
