//! The rules of `assess` in the operator's guide.
use cozyup::assess::rules;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- assess rules: written by COZYUP_WRITE_DOCS=1 cargo test --test rooms assess:: -->\n";
const END: &str = "<!-- end of assess rules -->";

#[test]
fn the_guide_holds_every_rule_with_its_source() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATOR.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let rows = rules().iter().map(|rule| format!("| `{}` | {} | {} |\n", rule.id, rule.about, rule.source));
    let wanted = format!("| rule | finds | source |\n|---|---|---|\n{}", rows.collect::<String>());
    if std::env::var_os("COZYUP_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, wanted);
}

/// A file of a rule that nobody lists would compile and find nothing.
#[test]
fn each_file_of_a_rule_is_a_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/assess/rules");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> =
        files.map(|f| f.trim_end_matches(".rs").replace('_', "-")).filter(|f| f != "mod").collect();
    let mut ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
    files.sort_unstable();
    ids.sort_unstable();
    assert_eq!(files, ids);
}
