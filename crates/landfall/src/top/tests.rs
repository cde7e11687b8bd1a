use std::collections::BTreeMap;

use expect_test::expect;
use types::Timestamp;

use super::frame;
use super::table::{Counters, Group, Known, Reading, groups, lines};

const MIB: u64 = 1 << 20;

fn id(digit: char) -> String {
    digit.to_string().repeat(32)
}

fn reading(second: i64, tasks: &[(char, Counters)]) -> Reading {
    let tasks = tasks.iter().map(|(digit, counters)| (id(*digit), *counters)).collect();
    Reading { at: Timestamp::from_millis(1_700_000_000_000 + second * 1000), tasks }
}

fn counters(cpu_millis: u64, memory: u64, network: (u64, u64)) -> Counters {
    Counters { cpu: cpu_millis * 1_000_000, memory, network: Some(network) }
}

fn known(group: &str, status: &str, age: u64) -> Known {
    Known {
        cluster_arn: "arn:aws:ecs:us-east-1:000000000001:cluster/shop".to_owned(),
        group: group.to_owned(),
        status: status.to_owned(),
        health: "UNKNOWN".to_owned(),
        age: Some(age),
        cpu: 256,
        memory: 512,
        interface: String::new(),
    }
}

fn tasks() -> BTreeMap<String, Known> {
    let healthy = Known { health: "HEALTHY".to_owned(), ..known("service:web", "RUNNING", 4000) };
    [
        (id('1'), healthy),
        (id('2'), known("service:web", "RUNNING", 130)),
        (id('3'), known("service:web", "PENDING", 1)),
        (id('4'), known("family:a-rather-long-name-of-a-batch-job", "RUNNING", 90_000)),
    ]
    .into()
}

fn shown() -> Vec<Group> {
    let before = reading(
        0,
        &[('1', counters(1000, 0, (0, 0))), ('2', counters(50, 0, (10, 0))), ('4', counters(0, 0, (0, 0)))],
    );
    let after = reading(
        2,
        &[
            ('1', counters(1100, 100 * MIB, (4096, 300))),
            ('2', counters(400, 28 * MIB, (10, 0))),
            ('4', Counters { cpu: 480_000_000, memory: 512 * MIB, network: None }),
        ],
    );
    groups(&before, &after, &tasks(), |task| task.service().map(|_| 3))
}

#[test]
fn tasks_stand_below_their_service_and_who_uses_most_cpu_stands_first() {
    expect![[r#"
        SERVICE/TASK                                     STATUS   HEALTH   CPU%  CORES  MEMORY/LIMIT   MEM%  IN/s  OUT/s    AGE
        family:a-rather-long-name-of-a-batch-job (shop)                    96.0   0.24     512M/512M  100.0     -      -
          44444444                                       RUNNING  -        96.0   0.24     512M/512M  100.0     -      -   1d1h
        web (shop)                                       2 of 3            45.0   0.22     128M/1.0G   12.5  2.0K    150
          22222222                                       RUNNING  -        70.0   0.17    28.0M/512M    5.5     0      0  2m10s
          11111111                                       RUNNING  HEALTHY  20.0   0.05     100M/512M   19.5  2.0K    150   1h6m
          33333333                                       PENDING  -           -      -             -      -     -      -     1s"#]].assert_eq(&lines(&shown(), None).join("\n"));
}

#[test]
fn a_narrow_window_shortens_names_and_then_cuts_lines() {
    let narrow = lines(&shown(), Some(90));
    assert!(narrow.iter().all(|line| line.chars().count() <= 90));
    expect![[r#"
        SERVICE/TASK        STATUS   HEALTH   CPU%  CORES  MEMORY/LIMIT   MEM%  IN/s  OUT/s    AGE
        family:a-rather-l…                    96.0   0.24     512M/512M  100.0     -      -
          44444444          RUNNING  -        96.0   0.24     512M/512M  100.0     -      -   1d1h
        web (shop)          2 of 3            45.0   0.22     128M/1.0G   12.5  2.0K    150
          22222222          RUNNING  -        70.0   0.17    28.0M/512M    5.5     0      0  2m10s
          11111111          RUNNING  HEALTHY  20.0   0.05     100M/512M   19.5  2.0K    150   1h6m
          33333333          PENDING  -           -      -             -      -     -      -     1s"#]]
    .assert_eq(&narrow.join("\n"));
    let cut = lines(&shown(), Some(30));
    assert!(cut.iter().all(|line| line.chars().count() <= 30), "{cut:?}");
}

#[test]
fn without_names_there_are_ids_and_numbers_and_without_a_second_reading_no_cpu() {
    let first = reading(0, &[('1', counters(1000, 100 * MIB, (0, 0)))]);
    let second = reading(1, &[('1', counters(1500, 100 * MIB, (0, 0))), ('2', counters(7, MIB, (0, 0)))]);
    let table = lines(&groups(&first, &second, &BTreeMap::new(), |_| None), None);
    expect![[r#"
        SERVICE/TASK           STATUS  HEALTH  CPU%  CORES  MEMORY/LIMIT  MEM%  IN/s  OUT/s  AGE
        (names are not known)                     -   0.50          101M     -     0      0
          11111111             -       -          -   0.50          100M     -     0      0    -
          22222222             -       -          -      -          1.0M     -     -      -    -"#]]
    .assert_eq(&table.join("\n"));
}

#[test]
fn a_document_has_plain_numbers() {
    let shown = serde_json::to_value(shown()).unwrap();
    let task = &shown[0]["tasks"][0];
    assert_eq!(
        (&shown[0]["group"], &shown[0]["desired"]),
        (&"family:a-rather-long-name-of-a-batch-job".into(), &().into())
    );
    assert_eq!(task["cpu_cores"], 0.24);
    assert_eq!(task["cpu_percent"], 96.0);
    assert_eq!((&task["memory_bytes"], &task["memory_percent"]), (&(512 * MIB).into(), &100.0.into()));
    assert_eq!(shown[1]["tasks"][1]["received_bytes_per_second"], 2048.0);
}

#[test]
fn a_name_is_a_service_s_a_task_s_or_a_cluster_s() {
    let task = known("service:web", "RUNNING", 0);
    let arn = |rest: &str| format!("arn:aws:ecs:us-east-1:000000000001:{rest}");
    let (id, short) = (id('1'), "1111");
    for name in [
        "web",
        "shop",
        short,
        &id,
        &arn("cluster/shop"),
        &arn("service/shop/web"),
        &arn(&format!("task/shop/{id}")),
    ] {
        assert!(task.is_called(&id, name), "{name}");
    }
    for name in ["we", "111112", &arn("cluster/web"), &arn("service/shop/shop"), &arn("task/shop/1111")] {
        assert!(!task.is_called(&id, name), "{name}");
    }
}

#[test]
fn a_frame_replaces_the_one_before_and_leaves_the_cursor_shown() {
    let lines: Vec<String> = ["head", "one", "two", "three"].map(str::to_owned).into();
    let (text, drawn) = frame(&lines, None, Some((10, 24)), 0);
    assert_eq!(drawn, 4);
    assert!(text.starts_with("\x1b[?25l\r") && text.ends_with("\x1b[J\x1b[?25h"), "{text:?}");
    let (text, drawn) = frame(&lines, Some("a note that is long"), Some((10, 4)), 4);
    assert_eq!(drawn, 3);
    let want =
        "\x1b[?25l\x1b[4A\r\x1b[2K\x1b[7mhead\x1b[0m\n\x1b[2K… 3 lines \n\x1b[2Ka note tha\n\x1b[J\x1b[?25h";
    assert_eq!(text, want);
}
