//! `ApplyConfiguration`: in maintenance mode and on a configured machine, which answer in different words.
use super::super::life::{self, Refused, When};
use super::super::{ConfigError, MachineConfig};
use super::{Node, difference};
use crate::world::World;
use cozyup_talos_wire::machine as wire;
use std::time::Duration;
use tonic::Status;
use wire::apply_configuration_request::Mode;

/// After which `--mode=try` goes back, when the client gives no time (`constants.ConfigTryTimeout`).
const TRY: Duration = Duration::from_secs(60);

impl From<Refused> for Status {
    fn from(refused: Refused) -> Status {
        let text = refused.to_string();
        match refused {
            Refused::Config(_) | Refused::Moves(..) => Status::invalid_argument(text),
            Refused::TooEarly | Refused::NoControlPlane => Status::failed_precondition(text),
            Refused::HasData => Status::already_exists(text),
            Refused::Gone => Status::unavailable(text),
        }
    }
}

impl Node {
    pub fn apply(
        &self,
        vmid: u32,
        asked: &wire::ApplyConfigurationRequest,
    ) -> Result<wire::ApplyConfiguration, Status> {
        match self.read(vmid, |_, m| m.config.clone())? {
            None => self.apply_first(vmid, asked),
            Some(present) => self.apply_again(vmid, asked, &present),
        }
    }

    /// In maintenance mode.
    fn apply_first(
        &self,
        vmid: u32,
        asked: &wire::ApplyConfigurationRequest,
    ) -> Result<wire::ApplyConfiguration, Status> {
        let unsupported = |mode| {
            let text = format!("apply configuration --mode='{mode}' is not supported in maintenance mode");
            Err(Status::unimplemented(text))
        };
        match asked.mode() {
            Mode::NoReboot => return unsupported("no-reboot"),
            Mode::Staged => return unsupported("staged"),
            Mode::Reboot | Mode::Auto | Mode::Try => {}
        }
        let config = self.lab.look(|world| life::check(world, vmid, &asked.data)).map_err(|refused| match refused {
            Refused::Config(ConfigError::Parse(why)) => Status::unknown(format!("failed to parse config: {why}")),
            Refused::Config(invalid @ ConfigError::Invalid(_)) => {
                Status::invalid_argument(format!("configuration validation failed: {}", invalid.why()))
            }
            other => other.into(),
        })?;
        let mut answer = wire::ApplyConfiguration::default();
        if asked.dry_run {
            answer.mode_details =
                "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.".into();
        } else {
            self.soon(move |world| life::apply(world, vmid, config, When::Now));
        }
        Ok(answer)
    }

    /// On a configured machine. Nothing that the lab knows needs a reboot, so `AUTO` never makes one.
    fn apply_again(
        &self,
        vmid: u32,
        asked: &wire::ApplyConfigurationRequest,
        present: &MachineConfig,
    ) -> Result<wire::ApplyConfiguration, Status> {
        let config = self.lab.look(|world| life::check(world, vmid, &asked.data))?;
        let (mode, when, details) = match asked.mode() {
            Mode::Auto | Mode::NoReboot => (Mode::NoReboot, When::Now, "Applied configuration without a reboot"),
            Mode::Try => (Mode::Try, When::Now, "Applied configuration without a reboot"),
            Mode::Reboot => (Mode::Reboot, When::WithReboot, "Applied configuration with a reboot"),
            Mode::Staged => (Mode::Staged, When::NextBoot, "Staged configuration to be applied after the next reboot"),
        };
        let mut answer =
            wire::ApplyConfiguration { mode: mode.into(), mode_details: details.into(), ..Default::default() };
        if asked.dry_run {
            let difference = match difference::unified(present.text.expose(), config.text.expose()) {
                same if same.is_empty() => "No changes.".to_string(),
                difference => difference,
            };
            answer.mode_details =
                format!("Dry run summary:\n{details} (skipped in dry-run).\nConfig diff:\n\n{difference}");
            return Ok(answer);
        }
        if mode == Mode::Try {
            let after = asked.try_mode_timeout.and_then(|d| Duration::try_from(d).ok()).unwrap_or(TRY);
            answer.mode_details.push_str(&format!(
                "\nThe config is applied in 'try' mode and will be automatically reverted back in {}m{}s",
                after.as_secs() / 60,
                after.as_secs() % 60
            ));
            let present = present.clone();
            let back = move |world: &mut World| life::apply(world, vmid, present, When::Now);
            self.soon(move |world| life::later(world, vmid, after.as_secs_f64(), back));
        }
        self.soon(move |world| life::apply(world, vmid, config, when));
        Ok(answer)
    }
}
