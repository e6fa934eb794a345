//! The rights of a plan's token, for a plan in the making: as day 0 will judge them.
use crate::base::text::clean;
use crate::plan::model::Plan;
use crate::plan::offer::Rights;
use crate::proxmox::Reader;
use crate::steps::rights::look;
use std::collections::BTreeSet;

/// # Errors
/// With the reason when Proxmox VE does not tell them.
pub async fn of(proxmox: &Reader, plan: &Plan) -> Result<Rights, String> {
    let looked = look::look(proxmox, plan).await.map_err(|failure| failure.what)?;
    let lacking = looked.lacking(proxmox, plan).await;
    let missing: BTreeSet<&str> = looked.missing.iter().map(|need| need.privilege).collect();
    let there = looked.privileges().into_iter().filter(|privilege| !missing.contains(privilege)).map(String::from);
    let mut rights = Rights { token: plan.site.token_id.clone(), there: there.collect(), ..Rights::default() };
    if let Some(lacking) = lacking {
        rights.next = clean(&lacking.next());
        rights.commands = lacking.way.commands.iter().map(|command| clean(command)).collect();
        rights.missing = lacking.rights;
    }
    Ok(rights)
}

/// The same for whoever reads lines.
pub fn told(rights: &Result<Rights, String>) -> String {
    match rights {
        Ok(rights) if rights.missing.is_empty() => {
            format!("  rights: {} has all {} privileges that the plan needs", rights.token, rights.there.len())
        }
        Ok(rights) => format!(
            "  rights: {} lacks what the plan needs: {}\n  next: {}",
            rights.token,
            rights.missing.join(", "),
            rights.next
        ),
        Err(why) => format!("  rights: not read, day 0 will: {why}"),
    }
}
