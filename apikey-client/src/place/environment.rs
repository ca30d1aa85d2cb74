//! The environment variable of a host and a profile.

/// Returns the variable's name: `name` for the service's own host and the default profile, otherwise with `_AT_` and the host,
/// and with `_FOR_` and the profile.
///
/// A key for one host is thereby never sent to another that the program is pointed at.
pub(crate) fn variable(name: &str, other_host: Option<&str>, profile: Option<&str>) -> String {
    let host = other_host.map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    let part = |separator: &str, text: Option<&str>| {
        text.map(|text| format!("{separator}{}", text.replace(|c: char| !c.is_ascii_alphanumeric(), "_")))
            .unwrap_or_default()
    };
    format!("{name}{}{}", part("_AT_", host), part("_FOR_", profile)).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_host_and_a_profile_when_named_then_each_has_a_variable_of_its_own() {
        assert_eq!(variable("FILES_KEY", None, None), "FILES_KEY");
        assert_eq!(variable("FILES_KEY", None, Some("work")), "FILES_KEY_FOR_WORK");
        assert_eq!(variable("FILES_KEY", Some("http://localhost:3000"), None), "FILES_KEY_AT_LOCALHOST_3000");
        assert_eq!(variable("FILES_KEY", Some("https://a.b"), Some("c-d")), "FILES_KEY_AT_A_B_FOR_C_D");
    }
}
