//! A second phone of the same person, a phone that takes another's place, a phone that is lost.

use crate::common::{Phone, Sandbox, Till, assert_instant, assert_members};
use crate::field::{PPSE, SELECT};
use crate::relay::Relay;

#[test]
fn a_second_phone_sees_the_same_payments_and_pays_with_its_own_cards() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.stop();
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let second = phone.beside_this(&sandbox);
    assert!(second.cards().is_empty());
    second.run(&["sync"]).exits(0);
    assert_eq!(second.statement()[0]["amount_minor"], 1250);
    second.add_card(&sandbox);
    let serving = second.serve();
    Till::of(&sandbox).tap(&serving.addr, "9.90", &[]).exits(0);
    serving.tapped();
    serving.stop();
    second.sync_until(|entries| entries[0]["state"] == "matched");
    phone.sync_until(|entries| entries.len() == 2);
    let phones = second.run(&["phones", "--json"]).exits(0).json();
    let phones = phones["phones"].as_array().unwrap();
    assert_eq!(phones.len(), 2);
    for listed in phones {
        assert_members(listed, &["device_id", "enrolled_at", "this", "state"]);
        assert_instant(&listed["enrolled_at"]);
        assert_eq!(listed["this"], listed["device_id"] == second.device_id());
        assert_eq!(listed["state"], "active");
    }
    let read = phone.run(&["phones"]).exits(0);
    assert!(read.out.contains(&second.device_id()) && read.out.contains("this phone"));
}

#[test]
fn a_link_code_is_good_once() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let code = phone.link(&[]);
    assert_eq!(code.len(), 16);
    let stranger = Phone::new();
    for wrong in ["AAAAAAAAAAAAAAAA", "", "no code"] {
        let refused = stranger.join(sandbox.provider(), &sandbox, wrong);
        assert!(
            matches!(refused.code, Some(1 | 3)),
            "{wrong:?}: {refused:?}"
        );
    }
    // As a person types it.
    let typed = format!(" {} ", code.to_lowercase());
    stranger.join(sandbox.provider(), &sandbox, &typed).exits(0);
    Phone::new()
        .join(sandbox.provider(), &sandbox, &code)
        .exits(3);
}

#[test]
fn a_new_phone_takes_the_place_of_the_old_one() {
    let sandbox = Sandbox::shared();
    let old = Phone::with_card(&sandbox);
    let serving = old.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.stop();
    old.sync_until(|entries| entries[0]["state"] == "matched");
    let new = Phone::new();
    let code = old.link(&["--move"]);
    new.join(sandbox.provider(), &sandbox, &code).exits(0);
    new.run(&["sync"]).exits(0);
    assert_eq!(new.statement()[0]["amount_minor"], 1250);
    old.run(&["sync"]).says(1, &["wiped"]);
    old.is_wiped();
    new.add_card(&sandbox);
    Till::of(&sandbox)
        .tap(&new.serve().addr, "9.90", &[])
        .exits(0);
}

#[test]
fn s33_a_lost_phone_pays_no_more_at_once_and_wipes_itself_at_its_next_contact() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let lost = Phone::with_card_through(&sandbox, &relay.url());
    let second = lost.beside_this(&sandbox);
    let device = lost.device_id();
    // Nobody can reach it, and it still has keys to pay with: the network is the one who refuses.
    relay.cut();
    let serving = lost.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    second.run(&["wipe", "--device", &device]).exits(0);
    let refused = Till::of(&sandbox)
        .tap(&serving.addr, "9.90", &[])
        .exits(3)
        .json();
    assert_eq!(refused["reason"], "token_deleted");
    serving.tapped();
    serving.stop();
    second.run(&["wipe", "--device", &device]).exits(0);
    let phones = second.run(&["phones", "--json"]).exits(0).json();
    let listed = phones["phones"].as_array().unwrap().iter();
    let states: Vec<_> = (listed.filter(|phone| phone["device_id"] == device.as_str()))
        .map(|phone| &phone["state"])
        .collect();
    assert_eq!(states, ["wiped"]);
    relay.mend(&sandbox);
    lost.run(&["sync"]).says(1, &["wiped"]);
    lost.is_wiped();
    lost.run(&["wipe"]).exits(0);
    lost.is_wiped();
    lost.run(&["sync"]).says(1, &["not enrolled"]);
    // Found again, it can start over.
    lost.enrol(&relay.url(), sandbox.ca()).exits(0);
    lost.add_card(&sandbox);
}

#[test]
fn s33_a_wipe_that_is_killed_at_any_time_is_finished_by_the_next_one() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let second = phone.beside_this(&sandbox);
    second
        .run(&["wipe", "--device", &phone.device_id()])
        .exits(0);
    let old_keys = phone.keys();
    let stages: [&dyn Fn(&Phone) -> bool; 4] = [
        &|copy| copy.data().join("wiping").exists(),
        &|copy| !old_keys.is_subset(&copy.keys()),
        &|copy| old_keys.is_disjoint(&copy.keys()),
        &|copy| !copy.data().join("vault.db").exists(),
    ];
    for stage in stages {
        let copy = phone.copy();
        let mut wiping = copy.start(&["sync"]);
        // It may be over before it is looked at: then there was nothing to kill.
        while !stage(&copy) && wiping.is_running() {
            std::thread::yield_now();
        }
        wiping.kill();
        let keys_left = copy.keys();
        let next = copy.run(&["sync"]).exits(1);
        assert!(
            next.err.contains("wiped") || next.err.contains("not enrolled"),
            "{next:?}, killed with {keys_left:?}"
        );
        assert!(old_keys.is_disjoint(&copy.keys()), "{:?}", copy.keys());
        assert!(copy.cards().is_empty() && copy.statement().is_empty());
        copy.run(&["wipe"]).exits(0);
        copy.is_wiped();
    }
}

#[test]
fn s33_the_support_desk_wipes_a_phone_and_one_that_serves_says_so() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let device = phone.device_id();
    let serving = phone.serve();
    let wiped = sandbox.desk("wipe", &["--device", &device]).exits(0).json();
    assert_eq!(
        [&wiped["device_id"], &wiped["state"]],
        [device.as_str(), "wiped"]
    );
    sandbox.desk("wipe", &["--device", &device]).exits(0);
    sandbox
        .desk("wipe", &["--device", "dev_0"])
        .says(1, &["no phone"]);
    // Being tapped brings it in contact with the provider, unless it has looked for news before.
    let mut field = serving.field();
    drop([PPSE, SELECT].map(|command| field.hex(command)));
    field.gpo(1);
    drop(field);
    serving.running.event("wiped");
    serving.refuses();
    serving.stop();
    phone.is_wiped();
}
