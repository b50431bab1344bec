//! The score card: 44 requirements on a consumer wallet that pays by host card emulation, one line each.
//!
//! They follow EMVCo's requirements for software-based mobile payment and OWASP's MASVS. The numbers are for
//! good: a test that proves line 22 is named `s22_…`, wherever it stands.

/// How many lines there are.
pub(crate) const COUNT: usize = 44;

/// The lines in their order; the first is number 1.
const TEXTS: [&str; COUNT] = [
    "Platform keys never leave the key store; one unwrapped 32-byte key crosses the FFI per opening, our buffers are wiped, no exported function returns it",
    "Keys live in StrongBox, else in the TEE, else they are refused or marked by policy; the issuer is told which",
    "The issuer verifies key attestation, a real chain over its own fresh challenge",
    "An attestation counter on iOS must rise",
    "Every key is wrapped by a key of at least 128-bit strength",
    "One key has one purpose; no derivation label is used twice",
    "Arming takes a fresh alias; killed at any step, exactly one alias opens or enrolment is asked for, and nothing leaves before the older alias is gone",
    "A change of the enrolled biometrics voids the key for verified payments, and there is a clean way back",
    "A sealed value opens in its own row, column, table and device only",
    "Any flipped bit gives a typed error: no panic, no plaintext",
    "Nonces come from the system's generator; seals per key are counted durably and stop at the cap",
    "An older version of a row, or an older database beside today's wrapped keys, is noticed",
    "Columns for look-up hold keyed hashes",
    "Sealed values name version and algorithm; unknown ones are refused",
    "A core dump after lock and wipe holds no key and no PIN; while armed it holds the armed key alone, once",
    "Types of secrets cannot be printed, cloned or serialised",
    "Secrets are compared in constant time, and a lint refuses `==` on them",
    "Canary card number, key and PIN through every call: none in traces, logs, errors, panics or FFI exceptions",
    "The log's redactor catches numbers of 13 to 19 digits, also spaced, in track 2 and in hexadecimal",
    "No card number lies on the disk: database, WAL and free pages are searched",
    "A database copied to another device opens as \"enrol again\", with no key to use",
    "An older database put back on the same device gives no cryptogram under a used ATC or key",
    "An ATC is durable before its cryptogram leaves; no crash makes one repeat",
    "ATCs rise strictly under eight taps at once",
    "After ATC 65535 every payment is refused for good",
    "A key's limits in count, time and amount are held by the device and by the issuer",
    "Replenishment carries a MAC over the payment log; one that does not match is refused",
    "The databases are left out of backups",
    "A clock set back lengthens neither a key's life nor a verification window",
    "A verification counts once, within its time by a clock that counts sleep, for its amount or up to its ceiling",
    "Verified payments need the platform key that is bound to the person",
    "PIN and payment password are never stored; tries and delays survive kills and clock changes, and reinstalling, as the provider counts",
    "A remote wipe can be repeated, goes on after a kill, and takes keys before rows",
    "A suspended card does not pay, without a network either",
    "TLS 1.2 or newer; a release build has no way to accept a bad certificate",
    "Pinned keys with a spare; a man in the middle whom the CA has signed is refused",
    "Request signatures cover method, target, digest, time and nonce; one retry, under a fresh nonce",
    "The body of every request that moves money is signed",
    "A replayed request is refused or answered as before",
    "Provisioning is sealed with HPKE; other info or associated data fail, the RFC's vectors pass",
    "Root, emulator, hook and debugger signals feed a policy that the issuer scores, read just before the tap",
    "APDU, TLV, QR and JSON from outside: no panic, bounded depth and memory, fuzzed",
    "Licences, bans and sources are checked offline, advisories where known, exceptions explained; a minimum version is honoured",
    "Personal data can be exported and deleted; no identifier serves two purposes",
];

/// Number and text of each line.
pub(crate) fn all() -> impl Iterator<Item = (u8, &'static str)> {
    (1..).zip(TEXTS)
}

/// The line that a test proves by its name: `s22_restored` is for line 22.
pub(crate) fn of_test(name: &str) -> Option<u8> {
    let (number, _) = name.strip_prefix('s')?.split_once('_')?;
    let two_digits = number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit());
    let number = two_digits.then(|| number.parse().ok()).flatten()?;
    (1..=COUNT).contains(&usize::from(number)).then_some(number)
}

/// What the names of a line's tests begin with.
pub(crate) fn prefix(line: u8) -> String {
    format!("s{line:02}_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_line() {
        assert_eq!(of_test("s09_swapped"), Some(9));
        assert_eq!(of_test("s44_exported"), Some(44));
        for other in ["s9_x", "s00_x", "s45_x", "s09", "x09_x", "ss9_x", "s+9_x"] {
            assert_eq!(of_test(other), None, "{other}");
        }
        assert!(all().all(|(line, _)| of_test(&(prefix(line) + "x")) == Some(line)));
    }
}
