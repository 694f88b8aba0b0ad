//! docs/operations.md, followed command by command on a machine with a systemd: what stands there under Install, Backup,
//! Upgrade and Restore, and the unit with all that it takes away from the server.

mod machine;

use std::fs;

use self::machine::Machine;

const GUIDE: &str = include_str!("../../../docs/operations.md");

/// What stands under a heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("\n## {heading}\n")).expect("it has this heading");
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// The commands under a heading, block by block.
fn commands(heading: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in section(heading).lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().expect("there is one").extend([command, "\n"]),
            None if blocks.last().is_some_and(|block| !block.is_empty()) => blocks.push(String::new()),
            None => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Sets each value of the guide's example where `countersign config` has it commented out.
fn setting_the_values() -> String {
    let (_, rest) = section("Install").split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let settings = example.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| (key, line)));
    let set = settings.map(|(key, line)| {
        // The first of the name: what the example sets comes before all else of the file.
        let file = "/etc/countersign/countersign.toml";
        format!("grep -q '^#{key} = ' {file}\nsed -i '0,/^#{key} = /s|^#{key} = .*|{line}|' {file}\n")
    });
    set.collect()
}

/// Waits until the server says that it listens, and tells the id that it says.
const LISTENS: &str = r"
listens() {
  local line
  read -r -t 50 line <&3
  [[ $line == 'countersign listens on 0.0.0.0:8443; server id '* ]]
  server_id=${line##* }
}
";

/// What the server is allowed and shows, as it runs.
const LOOKS_RIGHT: &str = r#"
status=/proc/$(systemctl show countersign --property MainPID --value)/status
grep -q "^Uid:	$(id -u countersign)	" $status
for nothing in CapEff CapPrm CapBnd CapAmb; do grep -q "^$nothing:	0000000000000000$" $status; done
grep -q '^NoNewPrivs:	1$' $status
grep -q '^Seccomp:	2$' $status
for directory in /var/lib/countersign /var/lib/countersign-key; do
  [[ $(stat -c '%U %a' $directory) == 'countersign 700' ]]
done
[[ $(stat -c '%U %a' /var/lib/countersign-key/master.key) == 'countersign 600' ]]
openssl s_client -connect 127.0.0.1:8443 -alpn h2 -CAfile /etc/countersign/tls.pem -verify_return_error \
  -verify_hostname login.example.org </dev/null
"#;

#[tokio::test]
async fn it_installs_runs_backs_up_upgrades_and_restores_under_a_systemd() {
    let Some(machine) = Machine::new_or_skip().await else { return };
    let tls = rcgen::generate_simple_self_signed(["login.example.org".to_owned()]).expect("a certificate");
    machine.write("checkout/fullchain.pem", tls.cert.pem());
    machine.write("checkout/privkey.pem", tls.signing_key.serialize_pem());
    let [install, certificate, start] = &commands("Install")[..] else { panic!("{:?}", commands("Install")) };
    let [backup] = &commands("Backup")[..] else { panic!("{:?}", commands("Backup")) };
    let [upgrade] = &commands("Upgrade")[..] else { panic!("{:?}", commands("Upgrade")) };
    let [restore] = &commands("Restore")[..] else { panic!("{:?}", commands("Restore")) };
    let set = setting_the_values();
    let script = format!(
        r#"{LISTENS}
{install}
{set}
{certificate}
{start}
listens
{LOOKS_RIGHT}
first=$server_id

# It comes back by itself when it was killed, and is the same server.
systemctl kill --signal KILL countersign
listens
[[ $server_id == "$first" ]]

{backup}
{upgrade}
listens
[[ $server_id == "$first" ]]

# The machine is lost, but for a copy of either half.
cp /var/backups/countersign/before-upgrade-*.sqlite countersign.sqlite
cp /var/lib/countersign-key/master.key master.key
systemctl stop countersign
[[ $(systemctl show countersign --property Result --value) == success ]]
[[ $(systemctl show countersign --property ExecMainStatus --value) == 0 ]]
rm -r /var/lib/countersign /var/lib/countersign-key
{restore}
listens
[[ $server_id == "$first" ]]
sudo -u countersign countersign app list --config /etc/countersign/countersign.toml
systemctl stop countersign
[[ $(systemctl show countersign --property Result --value) == success ]]
"#
    );
    let Some(told) = machine.run(&script).await else { return };
    // Each `doctor` was content, or the script had ended there.
    assert_eq!(told.matches("0 problems, ").count(), 3, "{told}");
    assert!(told.contains("\nKeep the key now: it is shown only this once.\n"), "{told}");
    let has_backup = told.lines().any(|line| {
        line.contains("/var/backups/countersign/before-upgrade-")
            && line.ends_with(". The master key is not in it.")
    });
    assert!(has_backup, "{told}");
    assert!(told.contains("  Shop  challenge_lifetime="), "{told}");
    let log = fs::read_to_string(machine.path("log")).expect("the server has written one");
    assert_eq!(log.matches("listening").count(), 4, "{log}");
}
