//! The words at the field of a digest: how far its file is, why it did not come, and what a fetch would do.
use crate::base::text::{format_duration, shorten, size};
use crate::plan::pin::{FirstUse, Pin};
use crate::tui::model::Model;
use crate::tui::model::form::{FieldId, FormFetch, FormModel};

/// Below the field while its file is on its way.
pub fn progress(model: &Model, form: &FormModel, id: FieldId) -> Option<String> {
    let FormFetch::Underway { pin, since, done, total, .. } = &form.fetch else { return None };
    if pin.key() != id.key() {
        return None;
    }
    let of = total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
    let since = format_duration(model.wall.saturating_sub(*since));
    Some(format!("fetches: {}{of}, {since}; f stops", size(*done)))
}

/// Below the field, whole.
pub fn reason(form: &FormModel, id: FieldId) -> Option<String> {
    match &form.fetch {
        FormFetch::Failed { pin, why } if pin.key() == id.key() => {
            Some(format!("not fetched: {}; next: {}", why.what, why.next))
        }
        FormFetch::Other(file) if file.pin.key() == id.key() => {
            Some(format!("{}: find out who changed it; f takes the new digest", other(form, file)))
        }
        FormFetch::Nothing | FormFetch::Underway { .. } | FormFetch::Failed { .. } | FormFetch::Other(_) => None,
    }
}

/// A file that is not the one of the plan's digest.
fn other(form: &FormModel, file: &FirstUse) -> String {
    let before = form.trusted_of(file.pin).map(|before| before.at.strftime("%Y-%m-%d %H:%M UTC"));
    let before = before.map(|at| format!(", fetched at {at}")).unwrap_or_default();
    let plan = file.pin.digest(&form.plan).unwrap_or_default();
    format!(
        "the {} there now has SHA-256 {} ({}), and the plan has {}{before}",
        file.pin.title(),
        shorten(&file.sha256, 16),
        size(file.bytes),
        shorten(plan, 16),
    )
}

/// Title and text of the question whether the new digest is taken.
pub fn question(form: &FormModel, file: &FirstUse) -> (&'static str, String) {
    (
        "Take the digest of another file?",
        format!("{}. Whatever it is gets every right on your machines.", other(form, file)),
    )
}

/// The first line of the help about a digest.
pub fn hint(form: &FormModel, id: FieldId) -> Option<String> {
    let pin = Pin::of_key(&id.key())?;
    Some(match form.trusted_of(pin) {
        Some(file) => file.remark(),
        None => format!("f fetches the {} and writes its SHA-256 here: trust on first use.", pin.title()),
    })
}
