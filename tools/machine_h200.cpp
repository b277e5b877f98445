// Made by tools/fit_machine.py --write. Do not edit.
//
// Constants of an H200, fitted to kernels that were measured on one (NVIDIA H200, driver
// 580.159.04, 2026-11-27): docs/results/2026-11-27-h200-4/report.json and
// docs/results/2026-11-27-h200/ncu_step.csv, as rows in docs/results/h200_kernels.json.

#include "tools/machine_model.h"

namespace warptape::tools {

const MachineModel& h200() {
  static const MachineModel machine = {
      .name = "h200",
      .origin =
          "fitted to kernels that an NVIDIA H200 ran on 2026-11-27 "
          "(docs/results/2026-11-27-h200-4), "
          "median error 6.6 % of 73 held out, 8.2 % of 64 fitted",
      .multiprocessors = 132,
      .launch_us = 1,
      .event_us = 2.866,
      .floor_us = 3.823,
      .copy_gb_per_s = 4183,
      .memory_gb_per_s = 6880,
      .thread_gb_per_s = 0.08095,
      .resident_threads = 1024,
      .peak_tflop_per_s = {60, 60, 790, 403},
      // Nanoseconds of multiplying, loading and results, factor of a block alone, floor.
      .cores = {{6.402, 237.9, 98.26, 1.997, 2.354},
                {12.8, 475.8, 196.5, 1.997, 2.354},
                {0.4237, 264.8, 569, 1.997, 2.354}},
      // Assumed.
      .tf32_factor = 2,
      .staged_loads = 0.133,
      .ffma_ns = 4.452,
      .ffma_share = 0.88};
  return machine;
}

}  // namespace warptape::tools
