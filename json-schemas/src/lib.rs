//! Checks the JSON output of the programs with the schemas in `docs/json`. For tests.
//!
//! A schema allows unknown members, because a later version may print more. Here they are errors, so that every member is
//! documented.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The schemas, by the names of their files without `.schema.json`. They are included in the test programs, because some of these
/// can only read the disk of the test.
const SCHEMAS: [(&str, &str); 12] = [
    ("firstroot-status", include_str!("../../docs/json/firstroot-status.schema.json")),
    ("firstroot-check", include_str!("../../docs/json/firstroot-check.schema.json")),
    ("firstroot-etc-status", include_str!("../../docs/json/firstroot-etc-status.schema.json")),
    ("firstroot-etc-diff", include_str!("../../docs/json/firstroot-etc-diff.schema.json")),
    ("firstroot-etc-explain", include_str!("../../docs/json/firstroot-etc-explain.schema.json")),
    ("firstroot-etc-restore", include_str!("../../docs/json/firstroot-etc-restore.schema.json")),
    ("firstroot-esp-install", include_str!("../../docs/json/firstroot-esp-install.schema.json")),
    ("firstroot-esp-status", include_str!("../../docs/json/firstroot-esp-status.schema.json")),
    ("firstroot-esp-sync", include_str!("../../docs/json/firstroot-esp-sync.schema.json")),
    ("firstroot-repair", include_str!("../../docs/json/firstroot-repair.schema.json")),
    ("prepare-root-plan", include_str!("../../docs/json/prepare-root-plan.schema.json")),
    ("finalize-staged-plan", include_str!("../../docs/json/finalize-staged-plan.schema.json")),
];

/// Checks that `document` matches the schema `name`.
///
/// # Errors
/// It does not match, with each deviation and its place; or there is no such schema.
pub fn require(name: &str, document: &Value) -> Result<()> {
    let mut schema = read(name)?;
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).with_context(|| format!("the schema {name}"))?;
    let deviations: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(
        deviations.is_empty(),
        "not as docs/json/{name}.schema.json says:\n{}\n{document:#}",
        deviations.join("\n")
    );
    Ok(())
}

fn read(name: &str) -> Result<Value> {
    let (_, text) = SCHEMAS.iter().find(|(known, _)| *known == name).with_context(|| format!("no schema {name}"))?;
    serde_json::from_str(text).with_context(|| format!("the schema {name}"))
}

/// Forbids members that the schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) && members.contains_key("type") {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_is_a_schema_and_is_known_here() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut known = SCHEMAS.map(|(name, _)| format!("{name}.schema.json"));
        known.sort();
        assert_eq!(files, known);
        for (name, _) in SCHEMAS {
            let schema = read(name).unwrap();
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        }
    }

    #[test]
    fn every_name_is_in_kebab_case_and_every_member_is_described() {
        fn look(schema: &Value, at: &str) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    let is_kebab = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                    assert!(is_kebab, "{at}/{name}");
                    let is_described = ["description", "const", "$ref"].iter().any(|key| property.get(key).is_some());
                    assert!(is_described, "{at}/{name} has no description");
                }
                assert!(schema.get("type").is_some(), "{at}: an object says so");
            }
            match schema {
                Value::Object(members) => members.iter().for_each(|(name, value)| look(value, &format!("{at}/{name}"))),
                Value::Array(items) => items.iter().for_each(|value| look(value, at)),
                _ => {}
            }
        }
        for (name, _) in SCHEMAS {
            look(&read(name).unwrap(), name);
        }
    }

    #[test]
    fn what_is_not_documented_is_a_mistake() {
        let already = json!({ "prepared-already": "image" });
        require("prepare-root-plan", &already).unwrap();
        for other in [json!({}), json!({ "prepared-already": "image", "more": 1 }), json!({ "prepared-already": 1 })] {
            require("prepare-root-plan", &other).unwrap_err();
        }
    }
}
