//! Keys of the rows of `talos.mirrors`.
use super::{Key, Kind, key};

pub(super) static MIRROR: &[Key] = &[
    key("registry", "registry", Kind::Text, "ghcr.io", "The registry as images name it; * for every one without a mirror of its own."),
    key(
        "endpoint",
        "mirror's URL",
        Kind::Text,
        "https://mirror.example.org/ghcr",
        "URL of the mirror. A path with /v2 in it is taken as it is (Harbor: https://HOST/v2/PROJECT), else /v2 is put behind it.",
    ),
    key("only", "nothing else", Kind::Bool, "true", "Whether the registry itself is never asked.").or("false"),
    key(
        "login_file",
        "login's file",
        Kind::Text,
        "~/.config/cozyup/mirror.login",
        "File (mode 0600) with USER:PASSWORD for the mirror's server; it goes into the machine configs, never into a record.",
    )
    .optional("the mirror lets everybody in"),
];
