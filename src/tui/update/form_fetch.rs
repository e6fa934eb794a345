//! The form fetches a file for its digest. Nothing that a person has written is replaced unasked.
use super::{Around, form_site};
use crate::base::text::format_duration;
use crate::plan::pin::{FirstUse, Pin};
use crate::tui::NoContact;
use crate::tui::message::{Cmd, FetchNews};
use crate::tui::model::form::{Confirm, FormFetch, FormModel, FormPane};
use crate::tui::model::home::HomeModel;

/// Begins, stops what goes on, or asks whether another digest is to be taken.
pub fn act(home: &mut HomeModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    let pin = wanted(form);
    match &form.fetch {
        FormFetch::Underway { pin, since, .. } => {
            let after = format_duration(around.wall.saturating_sub(*since));
            around.say(format!("the {} is fetched no further, after {after}; f begins anew", pin.title()));
            form.fetch = FormFetch::Nothing;
            return vec![Cmd::StopFetch];
        }
        FormFetch::Other(file) if file.pin == pin => {
            form.confirm = Some(Confirm::OtherDigest(file.clone()));
            return Vec::new();
        }
        FormFetch::Nothing | FormFetch::Failed { .. } | FormFetch::Other(_) => {}
    }
    let Some(with) = home.home.fetcher.clone() else {
        around.say("nothing can be fetched from here");
        return Vec::new();
    };
    let source = pin.source(&form.plan).to_string();
    form.go_to(pin.key());
    form.fetch = FormFetch::Underway { pin, source, since: around.wall, done: 0, total: None };
    vec![Cmd::Fetch { with, plan: Box::new(form.plan.clone()), pin }]
}

/// The digest under the cursor, or the one that every plan needs.
fn wanted(form: &FormModel) -> Pin {
    let key = match form.pane {
        FormPane::Fields => form.current().map(|id| id.key()),
        FormPane::Findings => form.findings.get(form.finding).map(|finding| finding.key.clone()),
        FormPane::Sections => None,
    };
    key.and_then(|key| Pin::of_key(&key)).unwrap_or(Pin::Image)
}

/// What was heard of a file on its way.
pub fn told(home: &mut HomeModel, pin: Pin, news: FetchNews, around: &mut Around<'_>) -> Vec<Cmd> {
    match news {
        FetchNews::Came { done, total } => {
            progress(home, pin, done, total);
            Vec::new()
        }
        FetchNews::Ended(result) => {
            fetched(home, pin, result, around);
            form_site::keep(home)
        }
    }
}

fn progress(home: &mut HomeModel, of: Pin, bytes: u64, announced: Option<u64>) {
    if let Some(FormFetch::Underway { pin, done, total, .. }) = home.form.as_mut().map(|form| &mut form.fetch)
        && *pin == of
    {
        (*done, *total) = (bytes, announced);
    }
}

fn fetched(home: &mut HomeModel, of: Pin, result: Result<FirstUse, NoContact>, around: &mut Around<'_>) {
    let Some(form) = home.form.as_mut() else { return };
    match &form.fetch {
        FormFetch::Underway { pin, source, .. } if *pin == of => {
            if *source != of.source(&form.plan) {
                form.fetch = FormFetch::Nothing;
                around.say(format!("the plan names another {} by now: f fetches that one", of.title()));
                return;
            }
        }
        FormFetch::Nothing | FormFetch::Underway { .. } | FormFetch::Failed { .. } | FormFetch::Other(_) => return,
    }
    form.fetch = match result {
        Err(why) => {
            around.say(format!("the {} was not fetched: {} says why", of.title(), of.key()));
            FormFetch::Failed { pin: of, why }
        }
        Ok(file) => match of.digest(&form.plan) {
            Some(digest) if digest == file.sha256 => {
                around.say(format!("the {} there has the digest of the plan", of.title()));
                FormFetch::Nothing
            }
            Some(_) => {
                around.say(format!("the {} there has ANOTHER digest than the plan", of.title()));
                FormFetch::Other(file)
            }
            None => {
                // What is typed there would be put over it with the next key.
                form.edit = form.edit.take().filter(|(id, _)| id.key() != of.key());
                around.say(format!("{} is filled in: trusted on first use", of.key()));
                form.trust(file);
                FormFetch::Nothing
            }
        },
    };
}
