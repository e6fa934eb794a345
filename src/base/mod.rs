//! The code that every room needs: clock, secrets and the vault that keeps them, safe text, private files.
//! It imports nobody, and of the products it knows only the words that several rooms share.
pub mod answer;
pub mod api_url;
pub mod clock;
pub mod day;
pub mod file;
pub mod glance;
pub mod group;
pub mod held;
pub mod iso;
pub mod json;
pub mod known;
pub mod logind;
pub mod names;
pub mod place;
pub mod process;
pub mod properties;
pub mod role;
pub mod secret;
pub mod sntp;
pub mod tar;
pub mod text;
pub mod tls;
pub mod trust;
pub mod values;
pub mod vault;
pub mod vmid;
