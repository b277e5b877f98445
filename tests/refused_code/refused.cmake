# Compiles mistake NUMBER of SOURCE, without generating code. It must fail with exactly one error,
# whose line matches MESSAGE; number 0 must pass.

set(flags -std=c++20 -fsyntax-only -DREFUSED=${NUMBER})
foreach(folder ${INCLUDES})
  list(APPEND flags -I${folder})  # not -isystem: /usr/include may be among them
endforeach()
set(ENV{LC_ALL} C)
execute_process(COMMAND ${COMPILER} ${flags} ${SOURCE} RESULT_VARIABLE status ERROR_VARIABLE said)
string(REGEX MATCHALL "[^\n]*error:[^\n]*" errors "${said}")
list(LENGTH errors count)
if(NUMBER EQUAL 0)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "what is free of mistakes was refused:\n${said}")
  endif()
elseif(status EQUAL 0)
  message(FATAL_ERROR "mistake ${NUMBER} compiles")
elseif(NOT count EQUAL 1 OR NOT errors MATCHES "${MESSAGE}")
  message(FATAL_ERROR "mistake ${NUMBER}: wanted one error that matches \"${MESSAGE}\", got:\n${said}")
endif()
