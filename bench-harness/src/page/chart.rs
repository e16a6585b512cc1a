//! Figures as SVG. Colours are placeholders that the page's style sheet replaces, once for light and once for dark.
use std::{fmt::Display, ops::Range};

use hdrhistogram::Histogram;
use plotters::{
    coord::{
        Shift,
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::document::Series;
use crate::fault::{Fault, Result};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 330;
/// plotters writes sizes a quarter smaller than it is told.
const FONT: u32 = 16;
const LEFT: u32 = 68;
const BOTTOM: u32 = 44;

const GRID: RGBColor = RGBColor(0xE0, 0xE0, 0xE0);
const AXIS: RGBColor = RGBColor(0x90, 0x90, 0x90);

/// Steps per halving of the distance to 100 %: enough for a smooth curve.
const TICKS_PER_HALF_DISTANCE: u32 = 4;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line of microseconds over something; where it is interrupted, a new part begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Who it is of.
    pub series: Series,
    /// From left to right.
    pub parts: Vec<Vec<(f64, f64)>>,
}

/// A bar with the smallest and the largest of what its length is the median of.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Who it is of.
    pub series: Series,
    /// Its length.
    pub value: f64,
    /// From where to where it varied.
    pub range: Option<(f64, f64)>,
    /// The value in words, with its unit.
    pub label: String,
}

/// Latency by percentile, on HdrHistogram's axis: each decade is a nine more.
pub fn percentiles(curves: &[(Series, &Histogram<u64>)]) -> Result<String> {
    let curves: Vec<_> = curves.iter().filter(|(_, histogram)| !histogram.is_empty()).collect();
    let lines: Vec<_> = curves
        .iter()
        .map(|(series, histogram)| Line { series: series.clone(), parts: vec![curve(histogram)] })
        .collect();
    let decades = lines.iter().flat_map(Line::points).map(|(x, _)| x).fold(2.0, f64::max);
    let ticks: Vec<f64> = (0..=decades.ceil() as u32).map(f64::from).collect();
    plot(&lines, Axis { low: 0.0, high: decades, ticks }, &|&x| percentile(x), "percentile")
}

/// Latency over seconds.
pub fn over_time(lines: &[Line]) -> Result<String> {
    let seconds = lines.iter().flat_map(Line::points).map(|(x, _)| x).fold(1.0, f64::max);
    let step = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0].into_iter().find(|step| seconds / step <= 10.0);
    let step = step.unwrap_or(seconds / 10.0);
    let ticks: Vec<f64> = (0..=(seconds / step) as u32).map(|n| f64::from(n) * step).collect();
    plot(lines, Axis { low: 0.0, high: seconds, ticks }, &|x| format!("{x:.0}"), "seconds")
}

impl Line {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.parts.iter().flatten().copied()
    }
}

/// Points of (log10 of 1/(1-p), microseconds).
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let end = (histogram.len() as f64).log10();
    let point = |quantile: f64, value: u64| {
        let x = if quantile < 1.0 { (1.0 / (1.0 - quantile)).log10().min(end) } else { end };
        (x, value as f64)
    };
    histogram
        .iter_quantiles(TICKS_PER_HALF_DISTANCE)
        .map(|step| point(step.quantile_iterated_to(), step.value_iterated_to()))
        .collect()
}

/// `0 %`, `90 %`, `99 %`, `99.9 %` at 0, 1, 2, 3.
fn percentile(nines: f64) -> String {
    let nines = nines.round() as usize;
    format!("{:.*} %", nines.saturating_sub(2), 100.0 - 100.0 / 10_f64.powi(nines as i32))
}

/// An axis whose ticks are ours to choose.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Lines over an axis of plain numbers; latency goes up by its logarithm, as it spans decades.
fn plot(lines: &[Line], x: Axis, x_label: &dyn Fn(&f64) -> String, x_name: &str) -> Result<String> {
    let values = || lines.iter().flat_map(Line::points).map(|(_, us)| us.max(1.0));
    let low = values().fold(f64::INFINITY, f64::min);
    let (low, high) = if low.is_finite() { (low, values().fold(low, f64::max)) } else { (1.0, 10.0) };
    let y = log_axis(low, high);
    draw(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(x, y)
            .map_err(fault)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .label_style(("sans-serif", FONT))
            .x_desc(x_name)
            .x_label_formatter(&|x| x_label(x))
            .y_label_formatter(&|y| tick(10_f64.powf(*y)))
            .draw()
            .map_err(fault)?;
        // The last drawn lies on top: references below contenders, and the first contender above all.
        for line in lines.iter().rev() {
            for part in &line.parts {
                let points = part.iter().map(|&(x, us)| (x, us.max(1.0).log10()));
                let colour = colour(&line.series);
                if line.series.reference {
                    let dashed = DashedLineSeries::new(points, 6, 4, colour.stroke_width(2));
                    chart.draw_series(dashed).map_err(fault)?;
                } else {
                    chart.draw_series(LineSeries::new(points, colour.stroke_width(3))).map_err(fault)?;
                }
            }
        }
        Ok(())
    })
}

/// Where an axis of logarithms begins and ends, and its ticks: 1, 2 and 5 of each decade, or the decades alone.
fn log_axis(low: f64, high: f64) -> Axis {
    const STEPS: [f64; 3] = [1.0, 2.0, 5.0];
    const DECADES_WITH_STEPS_MAX: f64 = 2.5;
    let (low, high) = (low.log10(), high.log10());
    let steps = if high - low > DECADES_WITH_STEPS_MAX { &STEPS[..1] } else { &STEPS[..] };
    let decades = low.floor() as i32..=high.ceil() as i32 + 1;
    let candidates: Vec<f64> =
        decades.flat_map(|decade| steps.iter().map(move |step| f64::from(decade) + step.log10())).collect();
    let begin = candidates.iter().copied().filter(|tick| *tick <= low + 1e-9).fold(low.floor(), f64::max);
    let end = candidates.iter().copied().find(|tick| *tick > high).unwrap_or(high + 1.0);
    let ticks = candidates.into_iter().filter(|tick| (begin..=end).contains(tick)).collect();
    Axis { low: begin, high: end, ticks }
}

/// A round number of microseconds.
fn tick(us: f64) -> String {
    match us {
        ..999.5 => format!("{us:.0} us"),
        ..999_500.0 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.0} s", us / 1e6),
    }
}

const BAR: u32 = 30;
const BAR_LEFT: i32 = 120;
const BAR_RIGHT: i32 = 92;

/// Bars from left to right, one below the other, with their names before and their values behind.
pub fn bars(bars: &[Bar]) -> Result<String> {
    let longest = bars.iter().map(|bar| bar.range.map_or(bar.value, |(_, max)| max.max(bar.value)));
    let scale = f64::from(WIDTH as i32 - BAR_LEFT - BAR_RIGHT) / longest.fold(f64::MIN_POSITIVE, f64::max);
    let at = |value: f64| BAR_LEFT + (value * scale).round() as i32;
    draw(BAR * bars.len() as u32 + 10, |area| {
        for (index, bar) in (0..).zip(bars) {
            let middle = 5 + BAR as i32 * index + BAR as i32 / 2;
            let name = text_style(HPos::Right);
            area.draw(&Text::new(bar.series.name.clone(), (BAR_LEFT - 10, middle), name)).map_err(fault)?;
            let corners = [(BAR_LEFT, middle - 9), (at(bar.value).max(BAR_LEFT + 1), middle + 9)];
            area.draw(&Rectangle::new(corners, colour(&bar.series).filled())).map_err(fault)?;
            let mut end = at(bar.value);
            if let Some((min, max)) = bar.range {
                whisker(area, at(min), at(max), middle)?;
                end = end.max(at(max));
            }
            let label = Text::new(bar.label.clone(), (end + 8, middle), text_style(HPos::Left));
            area.draw(&label).map_err(fault)?;
        }
        Ok(())
    })
}

fn whisker(area: &Area<'_>, from: i32, to: i32, middle: i32) -> Result<()> {
    for ends in [
        [(from, middle), (to, middle)],
        [(from, middle - 4), (from, middle + 4)],
        [(to, middle - 4), (to, middle + 4)],
    ] {
        area.draw(&PathElement::new(ends, AXIS.stroke_width(2))).map_err(fault)?;
    }
    Ok(())
}

fn text_style(side: HPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", FONT).into_font()).pos(Pos::new(side, VPos::Center))
}

/// Codes that the style sheet knows.
fn colour(series: &Series) -> RGBColor {
    RGBColor(0, 0, 0xF0 + (series.colour % 9) as u8)
}

fn draw(height: u32, paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area)?;
        area.present().map_err(fault)?;
    }
    // Within a page the element needs no name space, and a page without any address is easily seen to load nothing.
    Ok(svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1))
}

fn fault(error: impl Display) -> Fault {
    Fault::new(format!("a chart cannot be drawn: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, colour: usize) -> Series {
        Series { name: name.into(), colour, reference: false }
    }

    #[test]
    fn percentiles_have_a_nine_more_with_each_decade() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 5.0].map(percentile), ["0 %", "90 %", "99 %", "99.9 %", "99.999 %"]);
    }

    #[test]
    fn a_curve_ends_at_the_maximum_and_at_the_count() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        (1..=1000).for_each(|value| histogram.record(value).unwrap());
        let points = curve(&histogram);
        let (x, us) = *points.last().unwrap();
        assert!((x - 3.0).abs() < 1e-9 && us == 1000.0, "{x} {us}");
        assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
        let svg = percentiles(&[(series("a", 3), &histogram)]).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("#0000F3") && svg.contains("99.9 %"), "{svg}");
    }

    #[test]
    fn an_axis_holds_its_values_and_has_ticks() {
        for (low, high) in [(80.0, 90.0), (80.0, 12_000.0), (1.0, 1e7), (100.0, 100.0)] {
            let Axis { low: begin, high: end, ticks } = log_axis(low, high);
            assert!(begin <= f64::log10(low) && end > f64::log10(high), "{low} {high}: {begin} {end}");
            assert!((2..=9).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        }
    }

    #[test]
    fn ticks_are_round_whatever_their_unit() {
        let ticks = [1.0, 500.0, 999.9999, 2000.0, 1e6, 5e6].map(tick);
        assert_eq!(ticks, ["1 us", "500 us", "1 ms", "2 ms", "1 s", "5 s"]);
    }

    #[test]
    fn bars_carry_names_and_values_as_text() {
        let bar = |name: &str, value| Bar {
            series: series(name, 1),
            value,
            range: Some((0.0, 2.0)),
            label: "x<y".into(),
        };
        let svg = bars(&[bar("floor", 1.0), bar("none", 0.0)]).unwrap();
        assert!(svg.contains("floor") && svg.contains("x&lt;y"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("http"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_an_empty_chart_and_no_failure() {
        let empty = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        assert!(percentiles(&[(series("a", 0), &empty)]).is_ok());
        assert!(over_time(&[]).is_ok() && bars(&[]).is_ok());
    }
}
