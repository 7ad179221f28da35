//! Options of the built-in spaces, as a specification writes them.

use serde::{Deserialize, Serialize};

/// Options of the toy cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToyCellOptions {
    /// Names of the candidates on every edge, in row order.
    pub operations: Vec<String>,
    /// Channels of the first two cells; the third has twice as many.
    pub channels: i64,
    /// Probability with which an element is zeroed after each cell and in the head.
    pub dropout: f64,
}

/// Options of the convolutional macro space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvMacroOptions {
    /// Channels to choose from, a list for each layer.
    pub widths: Vec<Vec<i64>>,
    /// Sides of the kernels to choose from in each layer.
    pub kernels: Vec<i64>,
    /// Layers after which the map is halved, counted from 1.
    pub pools: Vec<i64>,
    /// Channels of the fixed convolution after the searched ones.
    pub last_width: i64,
    /// Widths of the hidden linear layers.
    pub head: Vec<i64>,
    /// Probability with which a channel is zeroed before the last pooling and before the head.
    pub dropout: f64,
}

/// Options of NAS-Bench-201.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NasBench201Options {
    /// Names of the candidates on every edge, in row order.
    pub operations: Vec<String>,
    /// Channels of the first stage; they double twice.
    pub channels: i64,
    /// Cells in each of the three stages.
    pub cells: i64,
}

/// Options of the DARTS space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DartsOptions {
    /// Names of the candidates on every edge, in row order.
    pub operations: Vec<String>,
    /// Channels of the first cells; they double at a third and at two thirds of the depth.
    pub channels: i64,
    /// Cells in all.
    pub cells: i64,
    /// Nodes of a cell besides its two inputs.
    pub nodes: i64,
    /// Edges that enter each node of the derived cell.
    pub keep: i64,
}

/// Options of the AutoFormer spaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutoformerOptions {
    /// Widths of a token to choose from.
    #[serde(rename = "embed_widths")]
    pub widths: Vec<i64>,
    /// Numbers of layers to choose from.
    pub depths: Vec<i64>,
    /// Numbers of heads to choose from in each layer.
    pub heads: Vec<i64>,
    /// Hidden width of the MLP over the token's width, to choose from in each layer.
    pub ratios: Vec<f64>,
    /// Side that images are resized to, in pixels.
    pub image_size: i64,
    /// Side of a patch, in pixels.
    pub patch: i64,
    /// Probability with which the last residual branch is left out; rises linearly from 0.
    pub drop_path: f64,
}

/// Options of the MobileNetV3 space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MobilenetV3Options {
    /// Numbers of blocks to choose from in each stage.
    pub depths: Vec<i64>,
    /// Expansion ratios to choose from in each block.
    pub expansions: Vec<i64>,
    /// Sides of the kernels to choose from in each block.
    pub kernels: Vec<i64>,
    /// What every stage's channels are multiplied with.
    pub width: f64,
    /// Side that images are resized to, in pixels.
    pub image_size: i64,
    /// Probability with which a feature is zeroed before the last layer.
    pub dropout: f64,
}

/// Options of the language models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanguageOptions {
    /// Numbers of layers to choose from.
    pub layers: Vec<i64>,
    /// Widths of a token to choose from.
    #[serde(rename = "embed_widths")]
    pub widths: Vec<i64>,
    /// Numbers of heads to choose from in each layer.
    pub heads: Vec<i64>,
    /// Hidden width of the MLP over the token's width, to choose from in each layer.
    pub ratios: Vec<f64>,
    /// Tokens of a window.
    pub context: i64,
    /// Probability with which an element is zeroed after embedding, attention and MLP.
    pub dropout: f64,
}
