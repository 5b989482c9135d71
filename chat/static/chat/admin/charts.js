/** Draws what tables say, in the page's colours. Chart.js has been loaded before us. */

const { Chart } = globalThis;
const MINUTE = 60_000;

const drawn = new Set();

/** Bars for a table of two columns. */
export function bars(canvas, table) {
  const rows = [...table.tBodies[0].rows].map(({ cells }) => [...cells].map((cell) => cell.textContent));
  const data = {
    labels: rows.map(([label]) => label),
    datasets: [{ label: table.tHead.rows[0].cells[1].textContent, data: rows.map(([, value]) => Number(value)) }],
  };
  const x = { ticks: { callback: (_, n) => rows[n][0].slice(-5), maxRotation: 0, autoSkipPadding: 16 } };
  draw(canvas, "bar", data, x);
}

/** Lines for points that are still to come; gives back what draws them. */
export function lines(canvas, names, labels) {
  const datasets = labels.map((label, n) => ({ label, data: [], borderDash: n ? [5, 4] : [] }));
  const x = {
    type: "linear",
    ticks: { stepSize: MINUTE, maxRotation: 0, callback: (at) => clock(at).slice(0, 5) },
  };
  const chart = draw(canvas, "line", { datasets }, x);
  chart.options.plugins.tooltip.callbacks.title = ([{ parsed }]) => clock(parsed.x);
  return (points, now) => {
    datasets.forEach((dataset, n) => {
      dataset.data = points.map((point) => ({ x: point.at, y: point[names[n]] ?? null }));
    });
    Object.assign(chart.options.scales.x, {
      min: Math.floor(now / MINUTE - 5) * MINUTE,
      max: Math.ceil(now / MINUTE) * MINUTE,
    });
    chart.update();
  };
}

/** As on the server's clock: UTC. */
export function clock(at) {
  return new Date(at).toISOString().slice(11, 19);
}

/** The colours may have changed. */
export function redraw() {
  drawn.forEach((chart) => {
    paint(chart);
    chart.update();
  });
}

function draw(canvas, type, data, x) {
  const chart = new Chart(canvas, {
    type,
    data,
    options: {
      animation: false,
      maintainAspectRatio: false,
      normalized: true,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: false }, tooltip: { callbacks: {} } },
      elements: { line: { borderWidth: 2, tension: 0 }, point: { radius: 0, hitRadius: 8 } },
      datasets: { bar: { borderRadius: 3, maxBarThickness: 24, categoryPercentage: 0.9 } },
      scales: {
        x: { ...x, grid: { display: false }, border: {} },
        y: { beginAtZero: true, suggestedMax: 5, ticks: { precision: 0, maxTicksLimit: 5 }, border: { display: false }, grid: {} },
      },
    },
  });
  drawn.add(chart);
  paint(chart);
  chart.update();
  return chart;
}

/** Canvases know no variables: what they are to be drawn in is asked of the style sheet. */
function paint(chart) {
  const style = getComputedStyle(chart.canvas);
  const colours = [style.color, style.outlineColor];
  chart.data.datasets.forEach((dataset, n) => {
    dataset.borderColor = dataset.backgroundColor = colours[n];
  });
  const { x, y } = chart.options.scales;
  x.ticks.color = y.ticks.color = style.caretColor;
  x.border.color = y.grid.color = style.borderTopColor;
  x.ticks.font = y.ticks.font = { family: style.fontFamily, size: 12 };
}
