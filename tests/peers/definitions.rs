//! The definitions of custom resources that the lab has: our own writing, in the shapes of the real ones. A real API
//! server gets the same.
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// All of them, in the order of their files.
pub fn all() -> Vec<Value> {
    of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab/definitions"))
}

/// Every object in the YAML files of a folder, in the order of the files.
pub fn of(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    let documents = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let all = serde_yaml::Deserializer::from_str(&text).map(|d| Option::<Value>::deserialize(d).unwrap());
        all.flatten().collect::<Vec<Value>>()
    };
    files.iter().flat_map(documents).collect()
}
