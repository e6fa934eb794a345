//! Sign-in: API tokens, tickets and their cross-site guard.
use super::request::decode;
use crate::pve::Version;
use crate::pve::rights::Who;
use crate::world::World;
use cozyup_base::clock::between;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};

const TOKEN: &str = "PVEAPIToken";
/// The life of a ticket, in seconds.
pub const TICKET_LIFE_S: u64 = 2 * 3600;

/// # Errors
/// The reason of a 401.
pub fn caller(world: &World, headers: &HeaderMap, method: &str, upload: bool) -> Result<Who, String> {
    let header = |name| headers.get(name).and_then(|v: &hyper::header::HeaderValue| v.to_str().ok());
    // A cookie goes first; browsers that have none may write it as their authorization.
    let found = |name, key| header(name).and_then(|text| value_of(text, key)).filter(|v| !v.is_empty());
    let ticket = found(COOKIE, "PVEAuthCookie").or_else(|| found(AUTHORIZATION, "PVEAuthCookie"));
    let (who, ticket) = match ticket {
        Some(ticket) => (by_ticket(world, &ticket), Some(ticket)),
        None => match found(AUTHORIZATION, TOKEN) {
            Some(token) => (by_token(world, &token), None),
            None => return Err("No ticket".into()),
        },
    };
    // Since pve-manager 9.1.5 every wrong credential is answered alike.
    let silent = world.pve.version >= Version(9, 1, 5);
    let who = who.map_err(|why| if silent { "Authentication failed!".to_string() } else { why })?;
    if let Some(ticket) = ticket.filter(|_| method != "GET" && !upload) {
        let guard = headers.get("CSRFPreventionToken").and_then(|v| v.to_str().ok());
        let right = world.pve.rights.tickets.get(&ticket).map(|t| t.csrf.as_str());
        if guard.is_none() || guard != right {
            return Err("Permission denied - invalid csrf token".into());
        }
    }
    Ok(who)
}

/// True when a request brings an API token, right or wrong.
pub fn has_token(headers: &HeaderMap) -> bool {
    let text = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    text.and_then(|text| value_of(text, TOKEN)).is_some_and(|v| !v.is_empty())
}

/// The value behind `KEY=` or `KEY `, up to a semicolon.
fn value_of(text: &str, key: &str) -> Option<String> {
    let starts = text.match_indices(key).filter(|(at, _)| {
        text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    let rest = starts.filter_map(|(at, _)| text.get(at + key.len()..)?.strip_prefix(['=', ' '])).next()?;
    Some(decode(rest.split(';').next().unwrap_or_default()))
}

/// # Errors
/// The reason of a 401.
pub fn by_token(world: &World, value: &str) -> Result<Who, String> {
    let (id, secret) = value.rsplit_once('=').ok_or("no tokenid specified")?;
    let (user, token) = id
        .split_once('!')
        .ok_or_else(|| format!("'{id}' is not a valid token ID - not able to split into user and token parts"))?;
    let entry = enabled(world, user)?;
    let found = entry.tokens.get(token).ok_or_else(|| format!("no such token '{token}' for user '{user}'"))?;
    if found.expire != 0 && found.expire < world.now.as_second() {
        return Err(format!("token '{token}' access expired"));
    }
    if found.secret.expose() != secret {
        return Err("invalid token value!".into());
    }
    Ok(Who { user: user.into(), token: Some(token.into()) })
}

pub fn by_ticket(world: &World, ticket: &str) -> Result<Who, String> {
    let invalid = || "permission denied - invalid PVE ticket".to_string();
    let found = world.pve.rights.tickets.get(ticket).ok_or_else(invalid)?;
    if between(found.issued, world.now).as_secs() > TICKET_LIFE_S {
        return Err(invalid());
    }
    enabled(world, &found.user)?;
    Ok(Who { user: found.user.clone(), token: None })
}

pub fn enabled<'a>(world: &'a World, user: &str) -> Result<&'a crate::pve::rights::User, String> {
    let found = world.pve.rights.users.get(user).ok_or_else(|| format!("no such user ('{user}')"))?;
    if !found.enabled {
        return Err(format!("user '{user}' is disabled"));
    }
    if found.expire != 0 && found.expire < world.now.as_second() {
        return Err(format!("user '{user}' access expired"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_with_a_space_or_an_equals_sign_wherever_a_word_begins() {
        let token = |text| value_of(text, TOKEN);
        assert_eq!(token("PVEAPIToken=a@pve!t=secret").as_deref(), Some("a@pve!t=secret"));
        assert_eq!(token("PVEAPIToken a@pve!t=secret").as_deref(), Some("a@pve!t=secret"));
        assert_eq!(token("x PVEAPIToken=a%40pve!t=secret; y").as_deref(), Some("a@pve!t=secret"));
        assert_eq!(token("Bearer x"), None);
        assert_eq!(token("XPVEAPIToken=x"), None);
        assert_eq!(value_of("a=b; PVEAuthCookie=PVE%3Ax", "PVEAuthCookie").as_deref(), Some("PVE:x"));
    }
}
