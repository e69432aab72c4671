// What Grafana shows of tables and stats, by its own code: transformations, units, mappings, thresholds and links.
//
//     NODE_PATH=.../node_modules node tests/grafana/tables.cjs < panels.json
//
// Reads a list of {panel, answers}: the JSON of a panel, and for each of its targets the series that Prometheus returned. Writes a list of what they
// show. A table is a list of rows, each of them {column: {text, colour, links, missing}}, a stat a list of {text, colour}. A colour that Grafana does not
// draw is null, and what no query has for a row is missing.
"use strict";

const { readFileSync } = require("node:fs");
const Module = require("node:module");

// Grafana's code expects a browser, of which nothing is asked for here.
globalThis.window = globalThis;
globalThis.addEventListener = () => {};
globalThis.location = { origin: "" };
globalThis.navigator ??= { languages: ["en"] };
const load = Module._load;
// Not used here either: what needs more of a browser, and modules that node 18, Debian 12's, cannot require.
const UNUSED = ["react-use", "marked", "marked-mangle", "d3-interpolate", "d3-scale-chromatic"];
Module._load = (name, ...rest) => (UNUSED.includes(name) ? {} : load(name, ...rest));

const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const { FieldType } = grafana;
const theme = grafana.createTheme();
const timeZone = "utc";

// The names that dashboards have for colours, by what Grafana makes of them.
const hex = (name) => grafana.colorManipulator.asHexString(theme.visualization.getColorByName(name));
const COLOURS = Object.fromEntries(["red", "orange", "green", "blue", "purple", "text", "#6E7079"].map((name) => [hex(name), name]));
const colour = (display) => {
  const found = grafana.colorManipulator.asHexString(display.color);
  return COLOURS[found] ?? found;
};

// Those in use, as in validate.py.
const transformations = Object.values(grafana.standardTransformers).filter(({ id }) => id === "merge" || id === "organize");
grafana.standardTransformersRegistry.setInit(() => transformations.map((transformation) => ({ ...transformation, transformation: async () => transformation })));

// Grafana registers the options of fields in its user interface, which is no package. As there, numbers alone have a range and decimals.
const ofNumbers = (field) => field.type === FieldType.number;
const options = [
  ...["unit", "color", "noValue", "links", "mappings", "thresholds"].map((id) => ({ id, path: id, shouldApply: () => true })),
  ...["min", "max", "decimals"].map((id) => ({ id, path: id, shouldApply: ofNumbers })),
  { id: "custom.cellOptions", path: "cellOptions", isCustom: true, shouldApply: () => true },
];
grafana.standardFieldConfigEditorRegistry.setInit(() => options.map((option) => ({ name: option.id, process: (value) => value, ...option })));

const points = (series) => series.values ?? [series.value];
const timeField = (values) => ({ name: "Time", type: FieldType.time, config: {}, values: values.map(([time]) => time * 1000) });
const valueField = (name, values, more) => ({ name, type: FieldType.number, config: {}, values: values.map(([, value]) => Number(value)), ...more });

// An answer as the plugin of Prometheus makes a table of it: a label of one series is a column of all.
function table(answer, { refId }, { targets }) {
  const rows = answer.flatMap((series) => points(series).map((point) => ({ labels: series.metric, point })));
  const labels = [...new Set(answer.flatMap((series) => Object.keys(series.metric)))].sort();
  const ofLabel = (label) => ({ name: label, type: FieldType.string, config: {}, values: rows.map((row) => row.labels[label] ?? "") });
  const values = rows.map((row) => row.point);
  const name = targets.length > 1 ? `Value #${refId}` : "Value";
  return [grafana.toDataFrame({ refId, fields: [timeField(values), ...labels.map(ofLabel), valueField(name, values)] })];
}

// The same as lines, each with its legend.
function lines(answer, { refId, legendFormat = "" }) {
  const frame = (series) => {
    const displayNameFromDS = grafana.renderLegendFormat(legendFormat, series.metric);
    const value = valueField("Value", points(series), { labels: series.metric, config: { displayNameFromDS } });
    return grafana.toDataFrame({ refId, fields: [timeField(points(series)), value] });
  };
  return answer.map(frame);
}

// A link's text with what a row has. Other variables stay as they are: they are not of the row.
function filled(text, { __dataContext }) {
  const { frame, field, rowIndex } = __dataContext.value;
  const shown = grafana.getFieldDisplayValuesProxy({ frame, rowIndex, timeZone });
  return text
    .replace(/\$\{__data\.fields(?:\.(\w+)|\["([^"]+)"\])\}/g, (_, word, quoted) => encodeURIComponent(String(shown[word ?? quoted] ?? "")))
    .replace(/\$\{__value\.raw\}/g, () => encodeURIComponent(field.values[rowIndex] ?? ""));
}

function cell(field, row) {
  const value = field.values[row];
  const display = field.display(value);
  const kind = field.config.custom?.cellOptions?.type ?? "auto";
  const links = field.getLinks({ valueRowIndex: row }).map((link) => link.href);
  return { text: grafana.formattedValueToString(display), colour: kind.startsWith("color-") ? colour(display) : null, links, missing: value == null };
}

async function shown({ panel, answers }) {
  const made = panel.type === "table" ? table : lines;
  const frames = panel.targets.flatMap((target, index) => made(answers[index], target, panel));
  const transformed = await firstValueFrom(grafana.transformDataFrame(panel.transformations ?? [], frames));
  const { fieldConfig } = panel;
  const context = { fieldConfig, theme, timeZone, replaceVariables: filled };
  const data = grafana.applyFieldOverrides({ ...context, data: transformed });
  if (panel.type === "stat") {
    const values = grafana.getFieldDisplayValues({ ...context, data, reduceOptions: panel.options.reduceOptions, replaceVariables: (text) => text });
    return values.map(({ display }) => ({ text: grafana.formattedValueToString(display), colour: colour(display) }));
  }
  const [frame] = data;
  const row = (index) => Object.fromEntries(frame.fields.map((field) => [grafana.getFieldDisplayName(field, frame), cell(field, index)]));
  return Array.from({ length: frame?.length ?? 0 }, (_, index) => row(index));
}

// JSON has no word for the value of the lowest step, which Grafana puts in when it reads a dashboard.
const revive = (key, value) => (key === "steps" ? value.map((step) => ({ ...step, value: step.value ?? -Infinity })) : value);

Promise.all(JSON.parse(readFileSync(0, "utf8"), revive).map(shown)).then((all) => console.log(JSON.stringify(all)));
