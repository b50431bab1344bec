//! Phones that are prepared once, with the real sandbox as a process of its own: its databases never see the shim.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use fault_vfs::{Fault, Loss};
use tapcore::ffi::{EntryState, WalletError};

use crate::common::{EXPIRY, Sandbox, Till, fresh_number};
use crate::phone::{Life, Phone, wait};
use crate::relay::Relay;

/// Payments that a card comes with: three keys of ten each.
const PROVISIONED: usize = 30;

/// The CA of the sandbox, as text.
fn ca(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.ca()).unwrap()
}

pub(crate) fn enrol(life: &Life, sandbox: &Sandbox) -> Result<(), WalletError> {
    wait(life.wallet.enrol(sandbox.provider().into(), ca(sandbox)))
}

/// Enrols with a code from another phone of the same person.
pub(crate) fn join(life: &Life, sandbox: &Sandbox, code: String) -> Result<(), WalletError> {
    wait(
        life.wallet
            .join(sandbox.provider().into(), ca(sandbox), code),
    )
}

/// A phone with a card and no way to its provider: nothing that befalls it elsewhere reaches it.
pub(crate) fn out_of_reach(sandbox: &Sandbox) -> Phone {
    let relay = Relay::to(sandbox);
    let mut phone = Phone::new();
    phone.lives(|life| {
        wait(life.wallet.enrol(relay.url(), ca(sandbox))).unwrap();
        add_card(life, sandbox);
    });
    phone.given = Some(PROVISIONED);
    relay.cut();
    phone.relay = Some(Arc::new(relay));
    phone
}

/// A phone that is known to the provider and holds no card.
pub(crate) fn enrolled(sandbox: &Sandbox) -> Phone {
    let mut phone = Phone::new();
    phone.lives(|life| enrol(life, sandbox).unwrap());
    phone
}

/// A phone with a card that has paid once; the issuer's entry is in the statement.
pub(crate) fn with_card(sandbox: &Sandbox) -> Phone {
    let mut phone = enrolled(sandbox);
    phone.lives(|life| {
        add_card(life, sandbox);
        life.start().unwrap();
        pay(life, sandbox);
        sync_until_matched(life, 1);
    });
    phone.given = Some(PROVISIONED);
    phone
}

pub(crate) fn add_card(life: &Life, sandbox: &Sandbox) {
    let (challenge, code) = begin_card(life, sandbox);
    wait(life.wallet.finish_add_card(challenge, code)).unwrap();
}

/// Asks for a code; answers the challenge with the code that its bank has sent.
pub(crate) fn begin_card(life: &Life, sandbox: &Sandbox) -> (String, String) {
    let number = fresh_number();
    life.open().unwrap();
    let challenge = wait(
        life.wallet
            .begin_add_card(number.clone(), EXPIRY.into(), None),
    )
    .unwrap();
    (challenge.id, sandbox.sms(&number))
}

/// A payment at a shop's terminal, authorised by the issuer.
pub(crate) fn pay(life: &Life, sandbox: &Sandbox) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut terminal, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            while terminal.read_exact(&mut length).is_ok() {
                let mut command = vec![0; usize::from(u16::from_be_bytes(length))];
                terminal.read_exact(&mut command).unwrap();
                let answer = life.apdu(&command);
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                terminal
                    .write_all(&[&length[..], &answer].concat())
                    .unwrap();
            }
            life.wallet.deactivated();
        });
        let till = Till::of(sandbox);
        till.tap(&addr.to_string(), "12.50", &[]).exits(0);
    });
}

/// Syncs until the issuer's word about so many payments is in: it takes a moment to reach the provider.
pub(crate) fn sync_until_matched(life: &Life, payments: usize) {
    let until = std::time::Instant::now() + crate::process::PATIENCE;
    loop {
        wait(life.wallet.sync()).unwrap();
        let lines = life.statement().unwrap();
        let matched = lines
            .iter()
            .filter(|line| line.state == EntryState::Matched);
        if matched.count() >= payments {
            return;
        }
        assert!(std::time::Instant::now() < until, "{lines:#?}");
    }
}

/// Spends the card's keys until fewer payments are left than the provider's threshold.
pub(crate) fn nearly_spent(phone: &mut Phone) {
    let spent = phone.lives(|life| {
        let mut left = life.start().unwrap();
        while left >= 5 {
            life.tap().unwrap();
            left = life.start().unwrap();
        }
        let paid = life.paid().len();
        assert!(life.told(paid));
        paid
    });
    assert!(spent > 10);
    // From here on new keys may come.
    phone.given = None;
}

/// The phone as a power cut leaves it as soon as a request waits in its outbox, before the answer was taken in.
pub(crate) fn asked(phone: &Phone, work: impl Fn(&Life)) -> Phone {
    let waiting = "SELECT COUNT(*) FROM outbox";
    for at in 1.. {
        let before = phone.fork();
        let life = before.live();
        life.open().unwrap();
        life.disk.plan(Fault::Cut { at });
        work(&life);
        assert!(life.disk.hit().is_some(), "nothing was ever asked");
        let after = life.ends(&before, Loss::Unsynced, before.fresh_folder());
        if after.ask::<i64>("vault.db", waiting) > 0 {
            return after;
        }
    }
    unreachable!("the loop ends by itself")
}
