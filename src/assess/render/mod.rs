//! A report laid out: as text for a terminal, as Markdown, as one HTML page, as JSON. All that came from outside is escaped.
mod html;
mod json;
mod markdown;
mod text;

pub use html::html;
pub use json::json;
pub use markdown::{markdown, markdown_of};
pub use text::{text, text_of};

#[cfg(test)]
mod tests {
    use crate::assess::snapshot::Trouble;
    use crate::assess::testing::*;
    use crate::assess::version::Number;
    use crate::assess::{Assessment, assess};

    /// A cluster whose names are made to do harm.
    fn hostile() -> Assessment {
        let mut cluster = older();
        let name = "</td><script>alert(1)</script>|`x` **b** [a](http://e) \u{1b}[2J\u{202e}";
        cluster.pods.read.push(failing("tenant-a", name, Trouble::ImagePull, 9));
        cluster.nodes.read[0].name = name.into();
        cluster.bundle.read = name.into();
        assess(&cluster, Number::new(0, 37, 2))
    }

    #[test]
    fn a_hostile_name_is_text_in_html() {
        let page = super::html(&hostile());
        assert!(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)"), "{page}");
        assert!(!page.contains("<script") && !page.contains('\u{1b}') && !page.contains('\u{202e}'));
        assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn a_hostile_name_is_text_in_markdown_and_stays_in_its_cell() {
        let page = super::markdown(&hostile());
        assert!(
            !page.contains("<script>") && !page.contains("**b**") && !page.contains("[a](") && !page.contains('\u{1b}')
        );
        for table in page.split("\n\n").filter(|block| block.starts_with('|')) {
            let bars = |line: &str| line.replace("\\|", "").matches('|').count();
            let first = bars(table.lines().next().unwrap());
            assert!(table.lines().all(|line| bars(line) == first), "{table}");
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_in_the_text() {
        let page = super::text(&hostile());
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{page:?}");
        assert!(page.lines().all(|line| line.chars().count() <= 400));
    }

    #[test]
    fn the_json_holds_each_fact_as_a_value_and_its_sentence() {
        let value: serde_json::Value = serde_json::from_str(&super::json(&hostile())).unwrap();
        assert_eq!((&value["schema"], &value["kind"]), (&1.into(), &"assessment".into()));
        assert_eq!(value["verdict"]["decision"], "go");
        let pods = value["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "failing-pods").unwrap();
        assert_eq!(
            (&pods["fact"], &pods["trouble"], &pods["count"]),
            (&"pods_fail".into(), &"image_pull".into(), &1.into())
        );
        assert!(pods["says"].as_str().unwrap().contains("can't pull their image"));
    }
}
