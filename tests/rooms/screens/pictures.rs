//! The pictures of the README: golden screens as `cozyup replay --export svg` makes them. `COZYUP_WRITE_SCREENS=1` writes them anew.
use super::{HOW, WRITE, views};
use cozyup::tui::export::picture;
use cozyup::tui::theme::Theme;
use std::fs;
use std::path::Path;

/// File, view, columns and lines.
const PICTURES: [(&str, &str, (u16, u16)); 3] =
    [("day-3.svg", "pane-day", (120, 36)), ("gate.svg", "gate", (100, 30)), ("form.svg", "form-table", (100, 24))];
/// Bytes: whoever opens the page fetches all of them.
const LARGEST: usize = 60_000;

#[test]
fn the_pictures_of_the_readme_are_small_and_show_the_screens_as_they_are() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(top.join("README.md")).unwrap();
    let all = views::all();
    for (file, view, size) in PICTURES {
        let view = all.iter().find(|v| v.name == view).unwrap();
        let drawn = picture(&(view.build)(Theme::new(true, true), size).draw());
        assert!(drawn.len() < LARGEST, "{file} has {} bytes", drawn.len());
        let (name, path) = (format!("assets/pictures/{file}"), top.join("assets/pictures").join(file));
        assert!(readme.contains(&name), "the README does not show {name}");
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &drawn).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap_or_default() == drawn, "{name} shows another screen. {HOW}");
    }
    let there = fs::read_dir(top.join("assets/pictures")).unwrap().count();
    assert_eq!(there, PICTURES.len(), "a file in assets/pictures is no picture of the README");
}
