//! How an upstream's load is balanced: what two keys say together, and the secret that cookies are signed with.

use std::{fs::File, io::Read, path::Path};

use crate::{
    control::raw::{balance::Sticky, findings::Findings, sections::Upstream as Raw},
    upstream::{
        Balance,
        hash::HashSettings,
        sticky::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, Secret, StickySettings},
    },
};

/// What balances by hash goes by; the outer `None`: something is wrong.
pub(super) fn hash(raw: &Raw) -> Option<Option<HashSettings>> {
    if raw.balance.value? != Balance::Hash {
        return Some(None);
    }
    let hash = raw.hash.value.as_ref()?;
    Some(Some(HashSettings { key: hash.key.value.clone()?, overload_permille: hash.overload.value? }))
}

/// Says what has no effect.
pub(super) fn check(raw: &Raw, findings: &mut Findings) {
    if let Some(balance) = raw.balance.value
        && raw.hash.given
        && balance != Balance::Hash
    {
        findings
            .warn(raw.hash.place, "`hash` has no effect: the upstream does not balance by hash")
            .hint("add balance = \"hash\"");
    }
}

/// The cookie; the outer `None`: something is wrong.
pub(super) fn sticky(raw: &Raw, findings: &mut Findings) -> Option<Option<StickySettings>> {
    if !raw.sticky.given {
        return Some(None);
    }
    let sticky = raw.sticky.value.as_ref()?;
    sendable(sticky, findings);
    let file = sticky.secret_file.value.as_ref()?;
    let secret = match secret(file) {
        Ok(secret) => secret,
        Err(message) => {
            let made = findings.error(sticky.secret_file.place, message);
            made.hint(format!(
                "a file with {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, as of `openssl rand -hex 32`"
            ));
            return None;
        }
    };
    let cookie = sticky.cookie.value.as_deref()?.into();
    Some(Some(StickySettings { cookie, secret, max_age: sticky.max_age.value? }))
}

/// Browsers take no cookie of such a name over plain HTTP.
fn sendable(sticky: &Sticky, findings: &mut Findings) {
    let Some(name) = &sticky.cookie.value else { return };
    let lower = name.to_ascii_lowercase();
    if ["__host-", "__secure-"].iter().any(|prefix| lower.starts_with(prefix)) {
        findings
            .error(sticky.cookie.place, "browsers refuse a cookie of this name without `Secure`")
            .hint("leave out the prefix");
    }
}

/// The secret in a file, without white space around it.
fn secret(path: &Path) -> Result<Secret, String> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    // What is no plain file, a pipe say, may never come to an end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let secret = bytes.trim_ascii();
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(format!("{} holds more than {SECRET_BYTES_MAX} bytes", path.display()));
    }
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!("{} holds {} bytes", path.display(), secret.len()));
    }
    Ok(Secret::new(secret))
}
