//! The things that a teardown would remove, in lists for a person.
use crate::base::day::Day;
use crate::base::label::Label;
use crate::cli::prepare::prepare;
use crate::compose::{Options, Refusal};
use crate::engine::failure::Failure;
use crate::engine::proof::Left;
use crate::engine::step::{Observed, Outline};
use crate::steps::node::bearing;
use crate::steps::teardown::{also, orphans, residue};

/// Reads what would be removed, what would stay, and what can't be determined; the run is locked meanwhile. `node`: of one
/// machine alone.
pub async fn survey(options: Options, node: Option<&Label>) -> Result<Survey, Refusal> {
    let prepared = prepare(options).await?;
    let found = prepared.work.survey_of(|outline| outline.day == Day::Teardown).await;
    Ok(match node {
        Some(node) => of_node(&prepared.plan.name, node.as_str(), &found),
        None => list(&prepared.plan.name, &found),
    })
}

/// Of the removal of one machine: what it brings about in which order, or why the cluster can't do without it.
fn of_node(plan: &str, node: &str, found: &Found) -> Survey {
    let refused = found.iter().find_map(|(outline, observed)| match observed {
        Ok(Observed::Conflict(failure)) | Err(failure) if outline.id.kind() == bearing::KIND => {
            Some(format!("{}\nnext: {}", failure.what, failure.next))
        }
        Ok(_) | Err(_) => None,
    });
    let mut out = vec![format!("the removal of {node} from {plan} proves one after the other:")];
    for (outline, observed) in found {
        out.push(match observed {
            Ok(Observed::Satisfied(proof)) => format!("  {}  (it is so: {})", outline.title, proof.summary()),
            Ok(Observed::Absent(_) | Observed::Unfinished(_) | Observed::Underway(_) | Observed::Conflict(_))
            | Err(_) => format!("  {}", outline.title),
        });
    }
    out.push("everything else of the run stays as it is".to_string());
    Survey { text: out.join("\n"), is_held: refused.is_some(), refused, is_over: false }
}

pub struct Survey {
    pub text: String,
    /// Why nothing is to be removed: a VM named with `--also` that can't be taken, a machine that the cluster needs.
    pub refused: Option<String>,
    /// There is nothing to remove.
    pub is_over: bool,
    /// Something is in the way, or can't be told.
    pub is_held: bool,
}

type Found = [(Outline, Result<Observed, Failure>)];

fn is_last(outline: &Outline) -> bool {
    outline.id.kind() == residue::KIND
}

fn list(name: &str, found: &Found) -> Survey {
    let refused = found.iter().find_map(|(outline, observed)| match observed {
        Ok(Observed::Conflict(failure)) if outline.id.kind() == also::KIND => {
            Some(format!("{}\nnext: {}", failure.what, failure.next))
        }
        Ok(_) | Err(_) => None,
    });
    let Sorted { there, not, unknown } = sorted(found);
    let nothing_is_left =
        found.iter().any(|(outline, observed)| is_last(outline) && matches!(observed, Ok(Observed::Satisfied(_))));
    let is_over = there.is_empty() && unknown.is_empty() && nothing_is_left;
    let is_held = !unknown.is_empty();
    let mut out = Vec::new();
    if is_over {
        out.push(format!("nothing of {name} is there to be removed"));
    }
    for (title, lines) in [
        (format!("the teardown of {name} removes, last made first:"), there),
        ("not there:".to_string(), not),
        (
            "left alone, because the run's journal and the target do not both say that this run made it:".to_string(),
            left(found),
        ),
        ("in the way:".to_string(), unknown),
    ] {
        if !lines.is_empty() {
            out.push(title);
            out.extend(lines);
        }
    }
    Survey { text: out.join("\n"), refused, is_over, is_held }
}

/// Things that stay although they look like the run's. Several steps may come upon the same one.
fn left(found: &Found) -> Vec<String> {
    let proofs = found.iter().filter_map(|(_, observed)| match observed {
        Ok(Observed::Satisfied(proof)) => Some(proof),
        Ok(_) | Err(_) => None,
    });
    let mut left: Vec<String> = proofs.flat_map(|proof| proof.left().iter().map(line_of)).collect();
    left.sort();
    left.dedup();
    left
}

struct Sorted {
    there: Vec<String>,
    not: Vec<String>,
    unknown: Vec<String>,
}

/// The findings of each step but the last, which can be read only after all removals.
fn sorted(found: &Found) -> Sorted {
    let (mut there, mut not, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (outline, observed) in found.iter().filter(|(outline, _)| !is_last(outline)) {
        match observed {
            // Things that the plan does not name have to be listed by name.
            Ok(Observed::Absent(seen)) if outline.id.kind() == orphans::KIND => there.push(format!("  destroy {seen}")),
            Ok(Observed::Absent(_) | Observed::Unfinished(_)) => there.push(format!("  {}", outline.title)),
            Ok(Observed::Satisfied(proof)) if outline.changes && proof.left().is_empty() => {
                not.push(format!("  {}", proof.summary()));
            }
            Ok(Observed::Satisfied(_)) => {}
            Ok(Observed::Underway(wait)) => there.push(format!("  {}  ({})", outline.title, wait.seen)),
            Ok(Observed::Conflict(failure)) | Err(failure) => {
                unknown.push(format!("  {}: {}\n    next: {}", outline.title, failure.what, failure.next));
            }
        }
    }
    Sorted { there, not, unknown }
}

fn line_of(left: &Left) -> String {
    format!("  {}: it {}", left.what, left.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_something_in_the_way_is_no_success() {
        let outline = crate::engine::state::tests::outline("day1.clone/cp1", 1, &[]);
        let away = || Failure::retryable("no answer", "look at the network");
        for (observed, is_held) in [
            (Err(away()), true),
            (Ok(Observed::Conflict(away())), true),
            (Ok(Observed::Absent("vm 1001 is there".into())), false),
        ] {
            let survey = list("cozy", &[(outline.clone(), observed)]);
            assert_eq!((survey.is_held, survey.text.contains("in the way:")), (is_held, is_held), "{}", survey.text);
        }
    }
}
