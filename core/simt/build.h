#pragma once
// What this build has of a GPU (WARPTAPE_GPU). Who asks for one of these includes this. This is a
// build without one; any other has a header of this name that is found before
// (cmake/warptape_gpu.cmake).

#define WARPTAPE_HAS_GPU 0
