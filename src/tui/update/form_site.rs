//! The form and the site: connecting, lists to choose from, and the draft that is kept at each field.
use super::{Around, form, moved};
use crate::plan::defaults::{Defaults, plan};
use crate::plan::model::ApiUrl;
use crate::tui::keymap::Action;
use crate::tui::message::Cmd;
use crate::tui::model::form::{Confirm, FieldId, FormModel, FormSite, List};
use crate::tui::model::home::HomeModel;
use crate::tui::{Contact, NoContact};
use std::path::PathBuf;

pub fn act(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    if action == Action::Connect {
        return connect(home, around);
    }
    if action == Action::Anew {
        form.confirm = Some(Confirm::Anew);
    } else {
        show(form, around);
    }
    Vec::new()
}

/// Asks the plan's site.
pub fn connect(home: &mut HomeModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let Some(form) = &mut home.form else { return Vec::new() };
    let wrong = form.first_wrong().filter(|(id, _)| id.key().starts_with("site.")).map(|(id, wrong)| {
        around.say(format!("{}: {}", id.label(), wrong.reason));
        id.key()
    });
    if let Some(key) = wrong {
        form.go_to(&key);
        return Vec::new();
    }
    if form.plan.site.url == plan(&Defaults::default()).site.url {
        around.say("write your site's API URL first: nobody has chosen this one");
        form.go_to("site.url");
        return Vec::new();
    }
    match (&home.home.connector, &form.site) {
        (_, FormSite::Asked { .. }) => around.say("the site is being asked: it has a minute to answer"),
        (None, _) => around.say("no site can be asked from here"),
        (Some(with), _) => {
            let with = with.clone();
            form.site = FormSite::Asked { since: around.wall };
            return vec![Cmd::Connect { with, plan: Box::new(form.plan.clone()), takes: form.path.is_none() }];
        }
    }
    Vec::new()
}

/// The site's answer.
pub fn contacted(
    home: &mut HomeModel,
    url: &ApiUrl,
    result: Result<Contact, NoContact>,
    around: &mut Around<'_>,
) -> Vec<Cmd> {
    answered(home, url, result, around);
    keep(home)
}

fn answered(home: &mut HomeModel, url: &ApiUrl, result: Result<Contact, NoContact>, around: &mut Around<'_>) {
    let Some(form) = home.form.as_mut().filter(|form| matches!(form.site, FormSite::Asked { .. })) else { return };
    form.site = FormSite::Unasked;
    if form.plan.site.url != *url {
        around.say("another site answered than the plan names now: c asks that one");
        return;
    }
    match result {
        Ok(Contact::Unknown { fingerprint, described }) => {
            form.edit = None;
            form.confirm = Some(Confirm::Trust { fingerprint, described });
        }
        Ok(Contact::Met(offer)) => {
            // A plan that has a file may have a run: its values are its own.
            let taken = if form.path.is_none() { offer.take_up(&mut form.plan) } else { 0 };
            form.site = FormSite::Met { offer, taken };
            form.judge();
            show(form, around);
        }
        Err(why) => {
            form.site = FormSite::Silent(why);
            show(form, around);
        }
    }
}

/// What the site said.
pub fn show(form: &mut FormModel, around: &mut Around<'_>) {
    match &form.site {
        FormSite::Unasked | FormSite::Asked { .. } => around.say("the site has said nothing yet: c connects"),
        FormSite::Met { .. } | FormSite::Silent(_) => {
            form.edit = None;
            form.list = Some(List::Said { scroll: 0 });
        }
    }
}

/// Opens the list of a field; false when it has none.
pub fn list(form: &mut FormModel, id: FieldId) -> bool {
    let choices = form.choices(id);
    let now = form.text(id);
    let at = choices.iter().position(|choice| choice.value == now).unwrap_or(0);
    if !choices.is_empty() {
        form.list = Some(List::Of { id, at });
    }
    !choices.is_empty()
}

pub fn in_list(home: &mut HomeModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let file = home.home.draft_file.as_ref().map(|draft| draft.with_file_name("copied"));
    let Some(model) = &mut home.form else { return Vec::new() };
    match model.list.take() {
        Some(List::Said { scroll }) => {
            if action == Action::Copy {
                model.list = Some(List::Said { scroll });
                return copied(model, file, around);
            }
            if let Some(scroll) = moved(action, scroll, around.drawn.over_max, around.drawn.page) {
                model.list = Some(List::Said { scroll });
            }
        }
        Some(List::Of { id, at }) => {
            let choices = model.choices(id);
            if let Some(at) = moved(action, at, choices.len().saturating_sub(1), around.drawn.page) {
                model.list = Some(List::Of { id, at });
                return Vec::new();
            }
            match choices.get(at).filter(|_| action == Action::Enter) {
                Some(choice) => model.put(id, &choice.value),
                None if action == Action::Type => form::edit(model),
                None => {}
            }
        }
        None => {}
    }
    Vec::new()
}

/// The commands that give the token what it lacks, each on a line of its own.
fn copied(form: &FormModel, file: Option<PathBuf>, around: &mut Around<'_>) -> Vec<Cmd> {
    let commands = form.rights().map(|rights| rights.commands.join("\n")).filter(|text| !text.is_empty());
    match commands {
        Some(text) => vec![Cmd::Copy { text, file }],
        None => {
            around.say("there is no command to copy");
            Vec::new()
        }
    }
}

/// Keeps what is typed and not saved, or takes away the draft of what is saved now; nothing while a field is being typed.
pub fn keep(home: &mut HomeModel) -> Vec<Cmd> {
    let (Some(form), Some(file)) = (&mut home.form, &home.home.draft_file) else { return Vec::new() };
    form.to_keep().map(|text| Cmd::Keep { file: file.clone(), text }).into_iter().collect()
}
