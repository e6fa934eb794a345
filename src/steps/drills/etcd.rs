//! Whether each member of etcd is well, asked at the member itself.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::plan::model::NodePlan;
use crate::steps::site::{Reading, address};
use crate::talos::{Error, Secure};
use std::collections::BTreeMap;

/// Members by the name of their machine: what each answered, or why it is not well.
pub struct Members(BTreeMap<String, Result<Evidence, String>>);

impl Members {
    pub fn well(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, said)| said.is_ok()).map(|(name, _)| name.as_str()).collect()
    }

    /// The first of these machines whose member is not well, with the reason.
    pub fn unwell<'a>(&'a self, among: impl Iterator<Item = &'a NodePlan>) -> Option<(&'a str, &'a str)> {
        among.into_iter().find_map(|node| {
            let (name, said) = self.0.get_key_value(&node.name)?;
            Some((name.as_str(), said.as_ref().err()?.as_str()))
        })
    }

    pub fn evidence(&self) -> impl Iterator<Item = Evidence> {
        self.0.values().filter_map(|said| said.as_ref().ok().cloned())
    }

    /// `2 of 3 members (cp1, cp3)`
    pub fn told(&self, of: usize) -> String {
        format!("{} of {of} members ({})", self.well().len(), self.well().join(", "))
    }
}

/// # Errors
/// Without the administrator's certificate.
pub async fn members<'a>(
    cx: &dyn Context,
    site: &Reading,
    nodes: impl Iterator<Item = &'a NodePlan>,
) -> Result<Members, Failure> {
    let admin = site.admin()?;
    let mut members = BTreeMap::new();
    for node in nodes {
        let said = async {
            let secure = Secure::connect(address(node), &admin).await?;
            let services = secure.services().await?.value;
            // A machine without a running etcd never answers a question for it.
            let Some(etcd) = services.into_iter().find(|service| service.id == "etcd").filter(|s| s.is_up()) else {
                return Ok(Err("its service etcd does not run".to_string()));
            };
            let status = secure.etcd_status().await?;
            Ok::<_, Error>(match &status.value {
                status if status.learner => Err("it is a learner, without a vote".to_string()),
                status if status.leader == 0 => Err("it knows no leader".to_string()),
                status if !status.errors.is_empty() => Err(status.errors.join("; ")),
                _ => Ok((etcd, status)),
            })
        };
        let said = match said.await {
            Ok(Ok((_, status))) => Ok(Evidence::of(format!("Talos {}", node.address), cx.clock().now(), &status)),
            Ok(Err(why)) => Err(why),
            Err(e) => Err(e.to_string()),
        };
        members.insert(node.name.clone(), said);
    }
    Ok(Members(members))
}
