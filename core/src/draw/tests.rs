//! Tests of whole drawings.

use super::*;
use crate::spaces::{PRESETS, Preset, autoformer, build, darts, mobilenet_v3, toy_cell};
use crate::spec::Sharing;

fn graph(preset: &Preset) -> Graph {
    build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap()
}

fn parse(preset: &Preset, graph: &Graph, text: &str) -> Architecture {
    Architecture::parse(text, preset.preset, &graph.choices).unwrap()
}

/// The marks of a comparison, without the coordinates.
fn marks(svg: &str) -> String {
    let elements = svg.split('<').filter(|element| {
        ["\"note", " changed\"", "gone\"", "strong\"", "dim halo\""]
            .iter()
            .any(|class| element.contains(class))
    });
    let said = elements.map(|element| {
        let class = element.split("class=\"").nth(1).unwrap().split('"').next().unwrap();
        let words = element.split('>').nth(1).unwrap_or_default();
        format!("{class} {words}").trim_end().to_owned()
    });
    said.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_drawing_says_what_was_chosen() {
    let graph = graph(&toy_cell::PRESET);
    let architecture = Architecture(vec![0, 1, 2, 3, 0, 1]);
    let rows = vec![vec![0.7, 0.1, 0.1, 0.1]; 6];
    let scene = Scene { architecture: Some(&architecture), rows: Some(&rows), ..Scene::of(&graph) };
    let drawing = svg(&scene);
    let title = "<title>normal cell: 0 to 1: sep3, 0 to 2: sep5, 1 to 2: dil3; \
                 reduce cell: 0 to 1: dil5, 0 to 2: sep3, 1 to 2: sep5</title>";
    assert!(drawing.contains(title), "{drawing}");
    assert_eq!(drawing.matches("class=\"edge\"").count(), 6);
    assert!(drawing.contains(">0.70<"));
    assert!(svg(&Scene::of(&graph)).contains("0 to 1: 4 options"));
}

/// All numbers that follow a key.
fn numbers(svg: &str, key: &str) -> Vec<f64> {
    svg.split(key).skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
}

#[test]
fn everything_lies_within_its_part() {
    for preset in PRESETS {
        let graph = graph(preset);
        let smallest = Architecture(vec![0; graph.choices.len()]);
        let largest = graph.choices.iter().map(|choice| choice.options.len() - 1).collect();
        let largest = Architecture(largest);
        let against = Some(Against::Before(&smallest));
        let compared = Scene { architecture: Some(&largest), against, ..Scene::of(&graph) };
        for scene in [Scene::of(&graph), compared] {
            for part in panels(&scene).parts {
                let (width, height) =
                    (numbers(&part, " width=\"")[0], numbers(&part, " height=\"")[0]);
                assert!(
                    numbers(&part, " y=\"").iter().all(|y| (0.0..height).contains(y)),
                    "{part}"
                );
                assert!(numbers(&part, " x=\"").iter().all(|x| (0.0..width).contains(x)), "{part}");
                assert!(part.starts_with("<svg") && !part.contains("style"), "{part}");
            }
        }
    }
}

#[test]
fn the_layers_of_a_stage_stand_in_one_row() {
    let parts = panels(&Scene::of(&graph(&mobilenet_v3::PRESET))).parts;
    let names = parts
        .iter()
        .map(|part| part.split("<title>").nth(1).unwrap().split(':').next().unwrap().to_owned());
    assert_eq!(
        names.take(7).collect::<Vec<_>>().join(" "),
        "stage0 stage0.block0 stage0.block1 stage0.block2 stage0.block3 stage1 stage1.block0"
    );
}

#[test]
fn a_cell_says_what_each_changed_edge_was() {
    let (preset, graph) = (&toy_cell::PRESET, graph(&toy_cell::PRESET));
    let before = parse(preset, &graph, "toy-cell|normal=sep3,sep5,dil3|reduce=sep3,sep3,dil5");
    let after = parse(preset, &graph, "toy-cell|normal=dil5,sep5,dil3|reduce=sep3,sep5,dil5");
    let against = Some(Against::Before(&before));
    let scene = Scene { architecture: Some(&after), against, ..Scene::of(&graph) };
    insta::assert_snapshot!(svg(&scene));
    let against = Some(Against::After(&after));
    let scene = Scene { architecture: Some(&before), against, ..Scene::of(&graph) };
    assert_eq!(
        marks(&svg(&scene)),
        "edge changed, halo strong sep3, note halo → dil5, edge changed, halo strong sep3, note halo → sep5"
    );
    let same = Scene { against: Some(Against::Before(&before)), ..scene };
    assert_eq!(marks(&svg(&same)), "");
    assert_eq!(svg(&same), svg(&Scene { against: None, ..scene }));
}

#[test]
fn an_edge_that_was_removed_is_dashed_and_one_that_comes_is_not_there_yet() {
    let (preset, graph) = (&darts::PRESET, graph(&darts::PRESET));
    let reduce = "reduce=skip,skip,skip,skip,none,skip,skip,none,none,skip,skip,none,none,none";
    let text = |normal: &str| format!("darts|normal={normal}|{reduce}");
    let before = text("sep3,skip,skip,dil5,none,sep3,sep3,none,none,sep5,sep3,none,none,none");
    let after = text("sep3,dil3,skip,none,dil5,sep3,sep3,none,none,sep5,sep3,none,none,none");
    let (before, after) = (parse(preset, &graph, &before), parse(preset, &graph, &after));
    let scene = Scene { architecture: Some(&after), ..Scene::of(&graph) };
    let later = Scene { against: Some(Against::Before(&before)), ..scene };
    insta::assert_snapshot!(panels(&later).parts[0]);
    let earlier =
        Scene { architecture: Some(&before), against: Some(Against::After(&after)), ..scene };
    assert_eq!(
        marks(&panels(&earlier).parts[0]),
        "edge changed, edge changed, halo strong skip, note halo → dil3, halo strong dil5, note halo → none"
    );
    assert_eq!(marks(&panels(&later).parts[1]), "");
}

#[test]
fn a_layer_beyond_the_depth_is_removed_not_changed() {
    let (preset, graph) = (&autoformer::TINY, graph(&autoformer::TINY));
    let text = |ratio: &str, heads: &str, depth: u32| {
        format!("autoformer-t|embed=192|ratio={ratio}|heads={heads}|depth={depth}")
    };
    let ratio = "4,4,4,4,4,4,4,4,4,4,4,4,4,4";
    let other = "3.5,4,4,4,4,4,4,4,4,4,4,4,4,3.5";
    let heads = "3,3,3,3,3,3,3,3,3,3,3,3,3,3";
    let before = parse(preset, &graph, &text(ratio, heads, 14));
    let after = parse(preset, &graph, &text(other, heads, 13));
    let against = Some(Against::Before(&before));
    let scene = Scene { architecture: Some(&after), against, ..Scene::of(&graph) };
    assert_eq!(
        marks(&svg(&scene)),
        "node changed, note was 14, gone, node changed, note was 4, gone, node gone, note removed"
    );
    let parts = panels(&scene).parts;
    insta::assert_snapshot!(parts[1]);
    insta::assert_snapshot!(parts[14]);
}
